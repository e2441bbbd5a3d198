"""A pack folder says everything that is wrong with it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dothi.kernel.errors import Invalid
from dothi.packs.load import load, load_all, shipped

PACK = """pack: {name}
version: 1.0.0
title: {{vi: Nước, en: Water}}
owner: {{code: so-nnmt, title: {{vi: Sở, en: Department}}}}
"""
DATASET = """dataset: {name}
kind: series
title: {{vi: Mực nước, en: Level}}
owner: so-nnmt
time: {{zone: Asia/Ho_Chi_Minh}}
key: [gauge]
parameters:
  level: {{title: {{vi: Mực nước, en: Level}}, unit: {unit}}}
"""


def pack(folder: Path, name: str, text: str = PACK, **datasets: str) -> Path:
    place = folder / name
    (place / "datasets").mkdir(parents=True)
    (place / "pack.yaml").write_text(text.format(name=name))
    for dataset, body in datasets.items():
        (place / "datasets" / f"{dataset}.yaml").write_text(body)
    return place


def faults(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        load_all(folder)
    for fault in caught.value.faults:
        assert fault.text("vi") and fault.text("en")
    return [(f.where.removeprefix(f"{folder}/"), f.key) for f in caught.value.faults]


def test_the_shipped_pack_reads_the_embassys_file() -> None:
    (environment,) = [p for p in load_all(shipped()) if p.name == "environment"]
    assert {c.name for c in environment.contracts} == {
        "air_quality", "surface_water", "noise", "household_waste", "waste_treatment",
    }  # fmt: skip
    (air,) = [c for c in environment.contracts if c.name == "air_quality"]
    assert [p.name for p in air.parameters] == ["pm25", "pm10", "o3", "no2", "so2", "co"]
    assert {p.unit for p in air.parameters} == {"µg/m³"}
    assert [r.name for r in air.readers] == ["airnow", "own", "workbook"]
    assert air.owner == environment.owner.code
    assert {f.name for f in environment.indicators} >= {"vn_aqi_hourly", "vn_aqi_daily"}


def test_all_faults_of_all_packs_together(tmp_path: Path) -> None:
    pack(tmp_path, "water", PACK.replace("1.0.0", "one"),
         level=DATASET.format(name="level", unit="furlong"))  # fmt: skip
    pack(tmp_path, "rain", PACK.replace("{name}", "snow") + "colour: blue\n")
    assert faults(tmp_path) == [
        ("rain/pack.yaml:5:9", "lake.yaml_unknown_key"),
        ("rain/pack.yaml:1:7", "packs.name_is_folder"),
        ("water/pack.yaml:2:10", "packs.bad_version"),
        ("water/datasets/level.yaml:8:51", "kernel.unknown_unit"),
    ]


def test_a_dataset_belongs_to_one_pack_and_one_file(tmp_path: Path) -> None:
    body = DATASET.format(name="level", unit="m")
    pack(tmp_path, "one", level=body)
    pack(tmp_path, "two", level=body)
    assert faults(tmp_path) == [("two/datasets/level.yaml:1:1", "packs.dataset_twice")]
    (tmp_path / "two" / "datasets" / "level.yaml").rename(tmp_path / "two" / "datasets" / "x.yaml")
    assert faults(tmp_path) == [("two/datasets/x.yaml:1:1", "packs.file_name")]


def test_broken_files_are_faults_not_crashes(tmp_path: Path) -> None:
    place = pack(tmp_path, "one", "pack: [")
    assert [key for _, key in faults(tmp_path)] == ["lake.yaml_syntax"]
    (place / "pack.yaml").write_bytes(b"\xff\xfe\x00")
    assert [key for _, key in faults(tmp_path)] == ["lake.yaml_unreadable"]
    (place / "pack.yaml").write_text("")
    assert "lake.yaml_want_document" in [key for _, key in faults(tmp_path)]
    with pytest.raises(Invalid):
        load_all(tmp_path / "nowhere")


def test_a_folder_without_pack_yaml_is_no_pack(tmp_path: Path) -> None:
    pack(tmp_path, "one")
    (tmp_path / "notes").mkdir()
    assert [p.name for p in load_all(tmp_path)] == ["one"]
    assert load(tmp_path / "one").contracts == ()
