"""Real files that nobody wrote for dothi: each is read by its contract, and what is odd is shown."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.files import FileStore
from dothi.lake.loading import Loaded, load_file
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

CONTRACTS = Path(__file__).parent / "contracts"

# How each table of the statistics office is read: reader, rows of the file, rows that are no parts
# of the whole, cells that say "..".
GSO = {
    "Area of destroyed forest by province": ("province_years", 64, 7, 488),
    "Area, population and population density by province": ("province_years_items", 70, 7, 0),
    "Average of sea level at some stations by year": ("station_years", 16, 0, 3),
    "Average of sea level at some stations": ("sea_level_months", 48, 0, 36),
    "Average population by province": ("province_items_years", 71, 7, 180),
    "General poverty rate by region": ("poverty", 7, 1, 0),
    "General poverty rate by residence": ("poverty", 2, 2, 0),
    "In-migration rate, out-migration rate and net-migration rate by province":
        ("province_items_years", 71, 7, 38),
    "Index of Industrial production by province": ("province_years", 70, 7, 30),
    "Infant mortality rate by province": ("province_years", 71, 7, 9),
    "Labour force at 15 years of age and above by province": ("province_years", 71, 7, 9),
    "Land use by province (As of 31 December 2015)": ("land_use", 71, 7, 4),
    "Livestock population as of annual 1st October": ("subject_years", 54, 0, 12),
    "Main products of livestock": ("products_years", 8, 0, 0),
    "Monthly average income per capita at current prices by income source and by province":
        ("province_years_items", 70, 7, 8),
    "Monthly rainfall at some stations": ("rainfall_months", 225, 0, 87),
    "Number of administrative units as of 31 December by province":
        ("province_years_items", 70, 7, 789),
    "Number of foreign visitors to Vietnam by means of transport": ("visitors_years", 4, 1, 0),
    "Number of foreign visitors to Vietnam by some nationalities":
        ("nationalities_years", 28, 1, 0),
    "Number of medical staff under provincial departments of health by province":
        ("province_years_items", 71, 7, 60),
    "Number of passengers traffic by province": ("province_years", 71, 7, 17),
    "Number of passengers traffic by the road by province": ("province_years", 71, 7, 17),
    "Number of passengers traffic by types of ownership": ("subject_years", 32, 32, 3),
    "Number of passengers traffic by types of transport": ("subject_years", 44, 44, 0),
    "Number of patient beds under provincial departments of health by province":
        ("province_years_items", 71, 7, 632),
    "Number of schools, classes, teachers and pupils of kindergarten education as of 30 September"
    " by province": ("province_years_items", 71, 7, 196),
    "Poverty rate by province": ("province_years", 71, 7, 8),
    "Retail sales of goods and services at current prices by province":
        ("province_years", 71, 7, 34),
    "Turnover of travelling at current prices by ownership": ("ownership_years", 14, 2, 18),
    "Turnover of travelling at current prices by province": ("province_years", 69, 7, 14),
    "Unemployment and underemployment rate of labour force at working age by region and by aged"
    " groups": ("region_rates", 21, 3, 0),
    "Unemployment and underemployment rate of labour force at working age by region and by sex":
        ("region_rates", 63, 9, 0),
    "Unemployment and underemployment rate of labour force at working age by region":
        ("region_rates", 63, 9, 0),
    "Volume of freight traffic by province": ("province_years", 71, 7, 17),
    "Volume of freight traffic by the road by province": ("province_years", 71, 7, 17),
    "Volume of freight traffic by the waterway by province": ("province_years", 61, 7, 50),
    "Volume of freight traffic by transport sector": ("subject_years", 44, 44, 3),
    "Volume of freight traffic by type of transport": ("subject_years", 44, 44, 0),
    "Volume of freight traffic by types of ownership": ("subject_years", 44, 44, 16),
    "Water flow of some main rivers": ("station_items_years", 13, 0, 67),
    "Water level of some main rivers": ("station_items_years", 18, 0, 12),
}  # fmt: skip


def real(shared: Path, name: str) -> Path:
    path = shared / "data" / name
    if not path.exists():
        pytest.skip(f"the real data set is missing: {path}")
    return path


def made(db: Database, text: str) -> Dataset:
    with db.transaction() as conn:
        return registry.register(conn, parse_contract(text))


def found(loaded: Loaded) -> dict[str, Any]:
    return {f["kind"]: f["count"] for f in loaded.report["findings"]}


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


def test_every_table_of_the_statistics_office_is_read_by_one_contract(
    lake: Lake, db: Database, store: FileStore, shared: Path
) -> None:
    folder = real(shared, "indicators_vn_gso_2018/csv")
    files = {path.stem: path for path in folder.glob("*.csv")}
    assert files.keys() == GSO.keys()
    contract = (CONTRACTS / "gso_table.yaml").read_text("utf-8")
    for number, (name, path) in enumerate(sorted(files.items())):
        reader, rows, apart, missing = GSO[name]
        table = made(db, contract.replace("dataset: gso_table", f"dataset: gso_{number}"))
        loaded = load_file(lake, store, table, path)
        told = found(loaded)
        assert (loaded.report["reader"], loaded.report["rows"]) == (reader, rows), name
        assert told.get("rejected", 0) == 0, name
        assert told.get("conflict", 0) == 0, name
        assert (told.get("apart", 0), told.get("missing", 0)) == (apart, missing), name
        cells = [cell for line in _lines(path) for cell in line if re.fullmatch(r"[.]{2,3}", cell)]
        assert len(cells) == missing, f"{name}: the file itself says so"


def _lines(path: Path) -> list[list[str]]:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
    return list(csv.reader(text.splitlines(), delimiter=";"))


def test_subtotals_of_regions_never_stand_among_their_provinces(
    lake: Lake, db: Database, store: FileStore, shared: Path
) -> None:
    path = real(shared, "indicators_vn_gso_2018/csv/Average population by province.csv")
    table = made(db, (CONTRACTS / "gso_table.yaml").read_text("utf-8"))
    loaded = load_file(lake, store, table, path)
    (apart,) = [f for f in loaded.report["findings"] if f["kind"] == "apart"]
    assert apart["levels"] == {"country": 1, "region": 6, "province": 64}
    with db.transaction() as conn:
        things = registry.things(conn, table)
        streams = registry.streams(conn, table)
    ids = {"country": [], "region": [], "province": []}
    for stream in streams.values():
        _, level, item, _ = things[stream.thing_id].key
        if item == "Total":
            ids[level].append(stream.id)
    with lake.view() as view:
        sums = {
            level: dict(
                view.execute(
                    f"SELECT year(timezone('Asia/Ho_Chi_Minh', t)), sum(v) "
                    f"FROM {view.series(table, streams=which)} WHERE q = 0 GROUP BY 1"
                ).fetchall()
            )
            for level, which in ids.items()
        }
    assert len(ids["province"]) == 64
    assert sums["country"][2016] == 92695.1
    for year, whole in sums["country"].items():
        assert sums["region"][year] == pytest.approx(whole, abs=2), year
        assert sums["province"][year] == pytest.approx(whole, abs=5), year


def test_a_file_in_iso_8859_keeps_its_letters_and_says_its_encoding(
    lake: Lake, db: Database, store: FileStore, shared: Path
) -> None:
    name = "Number of administrative units as of 31 December by province.csv"
    table = made(db, (CONTRACTS / "gso_table.yaml").read_text("utf-8"))
    loaded = load_file(lake, store, table, real(shared, f"indicators_vn_gso_2018/csv/{name}"))
    assert loaded.report["notes"]["encoding"] not in ("utf-8", "ascii")
    with db.transaction() as conn:
        places = {thing.key[0] for thing in registry.things(conn, table).values()}
    assert "Bình Dinh" in places


def test_months_of_the_climate_that_are_absent_are_counted_both_ways(
    lake: Lake, db: Database, store: FileStore, shared: Path
) -> None:
    path = real(shared, "hydro_vn_imhen/meteo.csv")
    climate = made(db, (CONTRACTS / "climate_imhen.yaml").read_text("utf-8"))
    loaded = load_file(lake, store, climate, path)
    told = found(loaded)
    assert loaded.report["rows"] == 37_848
    assert (told["absent_grid"], told["absent_within"]) == (7_980, 480)
    assert told["absent"] == 480 * 7, "each station-month lacks its seven parameters"
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    blank = sum(
        1 for row in rows for name in ("Ta", "Tx", "Tm", "Rf", "aH", "rH", "Sh") if not row[name]
    )
    assert told["missing"] == blank
    assert (loaded.report["things"], loaded.report["grid"]) == (67, 67 * 57 * 12)
    with lake.view() as view:
        first = view.execute(
            f"SELECT min(t)::VARCHAR, max(t)::VARCHAR FROM {view.series(climate)}"
        ).fetchone()
    assert first == ("1960-12-31 16:00:00+00", "2017-11-30 17:00:00+00"), "UTC+8 before 1975"


NAB = """
dataset: {name}
kind: series
title: {{vi: Cảm biến, en: Sensor}}
owner: demo
key: [device]
time: {{zone: Asia/Ho_Chi_Minh, rhythm: {rhythm}}}
parameters:
  reading: {{title: {{vi: Số đo, en: Reading}}, unit: "1"}}
readers:
  - name: timestamps
    time: {{column: timestamp, format: "%Y-%m-%d %H:%M:%S"}}
    key:
      device: {{constant: {name}}}
    values:
      reading: {{column: value}}
"""


@pytest.mark.parametrize(
    ("file", "rhythm"),
    [
        ("sensor_nab_machine/machine_temperature_system_failure.csv.gz", "PT5M"),
        ("sensor_nab_machine/ambient_temperature_system_failure.csv", "PT1H"),
        ("traffic_nab_minnesota/TravelTime_387.csv", "PT5M"),
        ("traffic_nab_minnesota/TravelTime_451.csv", "PT5M"),
        ("traffic_nab_minnesota/occupancy_6005.csv", "PT5M"),
        ("traffic_nab_minnesota/occupancy_t4013.csv", "PT5M"),
        ("traffic_nab_minnesota/speed_6005.csv", "PT5M"),
        ("traffic_nab_minnesota/speed_7578.csv", "PT5M"),
        ("traffic_nab_minnesota/speed_t4013.csv", "PT5M"),
        ("traffic_nab_minnesota/nyc_taxi.csv", "PT30M"),
    ],
)
def test_repetitions_and_gaps_of_sensor_files_are_found(
    lake: Lake, db: Database, store: FileStore, shared: Path, file: str, rhythm: str
) -> None:
    path = real(shared, file)
    name = path.name.split(".")[0].lower()
    sensor = made(db, NAB.format(name=name, rhythm=rhythm))
    loaded = load_file(lake, store, sensor, path)
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    pairs = [(r["timestamp"], r["value"]) for r in csv.DictReader(text.decode().splitlines())]
    stamps = Counter(stamp for stamp, _ in pairs)
    several = {stamp for stamp, n in stamps.items() if n > 1}
    contradicting = sum(1 for stamp in several if len({v for s, v in pairs if s == stamp}) > 1)
    assert loaded.report["rows"] == len(pairs)
    told = found(loaded)
    assert told.get("conflict", 0) == contradicting
    repeated = sum(n - 1 for n in stamps.values())
    assert told.get("twice", 0) + loaded.report["conflict"] == repeated
    (stream,) = loaded.report["streams"]
    assert stream["rows"] == len(stamps)
    if name.startswith("machine"):
        assert (repeated, len(pairs)) == (12, 22_695)
    if name.startswith("ambient"):
        assert len(pairs) == 7_267
        longest = max(stream["gaps"], key=lambda gap: gap["missed"])
        assert longest["missed"] == 7.25 * 24 - 1, "seven days and a quarter"
