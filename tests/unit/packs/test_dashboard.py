"""A pack's own layout says everything that is wrong with it, where, and what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from dothi.indicators import dashboard
from dothi.indicators.checking import check
from dothi.indicators.dashboard import Names
from dothi.kernel.errors import Invalid
from dothi.packs.begin import begin, begin_with

NAMES = Names(frozenset({"lamps_lit"}), frozenset({"score766"}), frozenset({"lighting"}))


def faults(folder: Path, text: str) -> list[tuple[str, str]]:
    (folder / "dashboard.yaml").write_text(text, "utf-8")
    with pytest.raises(Invalid) as caught:
        dashboard.load(folder, NAMES)
    for fault in caught.value.faults:
        assert fault.text("vi") and fault.text("en")
    return [(f.where.rpartition("dashboard.yaml:")[2], f.text("en")) for f in caught.value.faults]


def test_all_faults_are_said_with_what_was_meant(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """span: 7days
sektions: []
sections:
  - kind: tils
  - kind: tiles
    indicators: [lamp_lit, nothing_alike]
  - kind: league
  - kind: league
    indicator: lamps_lit
    most: 0
  - {kind: score, score: score766, grain: monat}
  - {kind: text, text: {vi: Chữ}}
  - kind: tiles
    title: Đèn
  - kind: table
    datasets: [lightning]
""",
    )
    places = [where for where, _ in found]
    assert places == ["2:11", "1:7", "4:11", "6:18", "6:28", "7:5", "10:11", "11:43", "12:24",
                      "14:12", "13:11", "16:16"]  # fmt: skip
    said = dict(found)
    assert "did you mean “7d”?" in said["1:7"]
    assert "did you mean “sections”?" in said["2:11"]
    assert "did you mean “tiles”?" in said["4:11"]
    assert "did you mean “lamps_lit”?" in said["6:18"]
    assert said["6:28"] == "There is no “nothing_alike” here. There are: lamps_lit."
    assert "indicator" in said["7:5"] and "1 to 100" in said["10:11"]
    assert "month, quarter, year" in said["11:43"]
    assert "at most" in said["13:11"]
    assert "did you mean “lighting”?" in said["16:16"]


def test_a_map_needs_its_table_and_a_page_something_on_it(tmp_path: Path) -> None:
    ((_, said),) = faults(tmp_path, "sections: [{kind: map}]\n")
    assert "“table”" in said
    ((_, said),) = faults(tmp_path, "sections: []\n")
    assert "at least one" in said
    assert faults(tmp_path, "sections: [tiles]\n")
    assert faults(tmp_path, "tiles\n")


def test_without_the_file_there_is_none_and_a_faulty_one_is_not_used(tmp_path: Path) -> None:
    assert dashboard.load(tmp_path) is None
    (tmp_path / "dashboard.yaml").write_text("sections: [{kind: x}]\n")
    assert dashboard.fits(tmp_path) is None
    (tmp_path / "dashboard.yaml").write_text("sections: [{kind: league, indicator: elsewhere}]\n")
    found = dashboard.fits(tmp_path)
    assert found is not None and found.sections[0].most == 10


def test_what_a_pack_folder_should_not_hold_is_named(tmp_path: Path) -> None:
    pack = tmp_path / "river-watch"
    begin(pack, "so-nnmt")
    for name in ("alerts.yaml", "notes.txt", "tests/notes.txt", "indicators/old.sql.bak"):
        (pack / name).write_text("")
    (pack / "dashboard.yaml").write_text("sections: [{kind: league, indicator: river}]\n")
    with pytest.raises(Invalid) as caught:
        check([pack])
    said = {f.where.removeprefix(f"{pack}/"): f.text("en") for f in caught.value.faults}
    assert "is not read by this version" in said["alerts.yaml"]
    assert set(said) == {
        "alerts.yaml", "notes.txt", "tests/notes.txt", "indicators/old.sql.bak",
        "dashboard.yaml:1:38",
    }  # fmt: skip


def test_a_pack_begins_with_a_contract_that_is_there(tmp_path: Path) -> None:
    contract = tmp_path / "c.yaml"
    contract.write_text("""dataset: tide
kind: series
title: {vi: "Triều: _KEY_", en: "Tide \\"x\\""}
owner: so-nnmt
key: [station, depth]
time: {zone: "+07:00"}
parameters: {height: {title: {vi: Cao, en: Height}, unit: m, range: [-3, 3], decimals: 2}}
""")
    begin_with(tmp_path / "sea", contract)
    checked = check([tmp_path / "sea"])
    assert checked.packs[0].owner.code == "so-nnmt"
    assert checked.packs[0].title == {"vi": "Triều: _KEY_", "en": 'Tide "x"'}
    assert [case.about.name for case in checked.cases] == ["tide_daily"]


def test_records_begin_without_a_figure(tmp_path: Path) -> None:
    contract = tmp_path / "c.yaml"
    contract.write_text("""dataset: requests
kind: records
title: {vi: Phản ánh, en: Requests}
owner: so-nnmt
key: [id]
columns: {id: {title: {vi: Mã, en: Code}}}
""")
    begin_with(tmp_path / "ask", contract)
    (pack,) = check([tmp_path / "ask"]).packs
    assert [c.name for c in pack.contracts] == ["requests"] and not pack.indicators
    with pytest.raises(Invalid):
        begin_with(tmp_path / "No good", contract)
    with pytest.raises(Invalid):
        begin_with(tmp_path / "other", tmp_path / "missing.yaml")
    assert not (tmp_path / "other").exists()
