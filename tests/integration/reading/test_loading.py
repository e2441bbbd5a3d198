"""A file nobody has seen: `dothi inspect` proposes a contract, and with it, unedited, the file loads."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dothi.lake import registry
from dothi.lake.contract import Contract, parse_contract
from dothi.lake.files import FileStore
from dothi.lake.inspecting import contract_text, inspect
from dothi.lake.loading import Loaded, limits, load_file
from dothi.lake.reading.limits import spans
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database
from tests.integration.reading.test_forms import (
    COLUMNS,
    CSV,
    FORMS,
    ROWS,
    as_features,
    as_geopackage,
    as_shapefile,
)

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("DOTHI_SHARED", ROOT.parent / "shared")) / "data"

# What is loaded of each real file: kind, key, rhythm, rows of the file, values or rows stored.
REAL: dict[str, tuple[str, list[str], str | None, int, int]] = {
    "citizen_sf311/311_service_requests.csv.gz": ("records", ["unique_key"], None, 10_000, 10_000),
    "hydro_vn_imhen/meteo.csv": ("series", ["station"], "P1M", 37_848, 264_936),
    "sensor_nab_machine/ambient_temperature_system_failure.csv":
        ("series", ["place"], "PT1H", 7_267, 7_267),
    # 12 instants have two values: they wait for a person.
    "sensor_nab_machine/machine_temperature_system_failure.csv.gz":
        ("series", ["place"], "PT5M", 22_695, 22_695 - 12),
    "traffic_nab_minnesota/nyc_taxi.csv": ("series", ["place"], "PT30M", 10_320, 10_320),
    "traffic_nab_minnesota/speed_7578.csv": ("series", ["place"], "PT5M", 1_127, 1_127),
    "poi_osm_hanoi/osm_overpass_hospital_hanoi.json": ("records", ["id"], None, 252, 252),
    "hydro_nl_pastas/heby_prec.csv": ("series", ["place"], "P1D", 14_792, 14_792),
    "hydro_nl_pastas/evap_260.csv": ("series", ["place"], "P1D", 14_697, 14_697),
    "hydro_nl_pastas/head_nb1.csv": ("series", ["place"], None, 644, 644),
    "indicators_vn_gso_2018/csv/Average population by province.csv":
        ("series", ["cities_provincies", "item", "level"], "P1Y", 71, 7_810),
    "indicators_vn_gso_2018/csv/Monthly rainfall at some stations.csv":
        ("series", ["cities_provincies"], "P1M", 225, 2_700),
    "indicators_vn_gso_2018/csv/Livestock population as of annual 1st October.csv":
        ("series", ["items"], "P1Y", 54, 324),
    "indicators_vn_gso_2018/csv/Number of administrative units as of 31 December by province.csv":
        ("series", ["cities_provincies", "item", "level"], "P1Y", 70, 3_920),
    "indicators_vn_gso_2018/csv/Land use by province (As of 31 December 2015).csv":
        # No codes and no date: until a person chooses, no row may replace another.
        ("records", ["cities_provincies", "total_area", "agricultural_production_land", "specially_used_land"],
         None, 71, 71),
}  # fmt: skip


def loaded(
    db: Database, lake: Lake, store: FileStore, path: Path, **how: Any
) -> tuple[Contract, Dataset, Loaded]:
    """The file after it was looked at and loaded with the contract proposed."""
    contract = parse_contract(contract_text(inspect(path, how), "en"))
    with db.transaction() as conn:
        dataset = registry.register(conn, contract)
    return contract, dataset, load_file(lake, store, dataset, path)


@pytest.mark.parametrize("name", REAL, ids=lambda n: n.rpartition("/")[2][:40])
def test_a_real_file_loads_with_the_contract_proposed(
    name: str, db: Database, lake: Lake, store: FileStore
) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the real data set is missing: {path}")
    kind, key, rhythm, rows, stored = REAL[name]
    contract, _, done = loaded(db, lake, store, path)
    assert (contract.kind, [c.name for c in contract.key]) == (kind, key)
    assert f"rhythm: {rhythm}" in contract.source if rhythm else "rhythm" not in contract.source
    assert (done.report["rows"], done.outcome.new, done.outcome.rejected) == (rows, stored, 0)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file_is_loaded(
    form: str, db: Database, lake: Lake, store: FileStore, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    FORMS[form](path)
    contract, dataset, done = loaded(db, lake, store, path)
    assert [c.name for c in contract.columns] == ["ma", "ten", "so"]
    assert [f.columns[0] for f in contract.readers[0].fields] == list(COLUMNS)
    assert (done.outcome.new, done.outcome.rejected) == (3, 0)
    with lake.view() as view:
        kept = view.execute(
            f"SELECT ma, ten, so FROM {view.records(dataset)} ORDER BY ma"
        ).fetchall()
    assert kept == [(a, b, float(c) if c else None) for a, b, c in ROWS]


@pytest.mark.parametrize("form", [as_features, as_geopackage, as_shapefile])
def test_every_form_of_map_is_loaded(
    form: Callable[[Path], None], db: Database, lake: Lake, store: FileStore, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    form(path)
    _, dataset, done = loaded(db, lake, store, path)
    assert (done.outcome.new, done.outcome.rejected) == (1, 0)
    with lake.view() as view:
        ((name, lon, shape),) = view.execute(
            f"SELECT name, lon, geometry FROM {view.records(dataset)}"
        ).fetchall()
    assert (name, lon) == ("Trạm 1", pytest.approx(108.05, abs=3e-3))
    assert shape.startswith("POINT")


def test_the_table_that_a_person_chose_is_the_one_that_loads(
    db: Database, lake: Lake, store: FileStore, tmp_path: Path
) -> None:
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", "Ngày;Lưu lượng (m3/s)\n31/01/2026;1.204,5\n01/02/2026;98\n")
    contract, _, done = loaded(db, lake, store, path, member="b.csv")
    assert contract.readers[0].file["member"] == "b.csv"
    assert (contract.parameters[0].name, contract.parameters[0].unit) == ("luu_luong", "m³/s")
    assert (done.outcome.new, done.report["findings"]) == (2, [])


def test_what_reading_may_use_goes_by_what_may_come_out_of_an_archive(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(b"time,level\n" * 100_000)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        assert spans(path) >= plain.stat().st_size
        assert limits(path).output_bytes > plain.stat().st_size
