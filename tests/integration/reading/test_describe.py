"""What the reader assistant says of files it has not seen, and that its proposals are contracts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from dothi.cli import main
from dothi.kernel.errors import Invalid
from dothi.lake import inspecting
from dothi.lake.contract import parse_contract
from dothi.lake.engine import engine
from dothi.lake.reading.describe import describe
from dothi.lake.reading.guess import guess
from dothi.lake.reading.wide import wide_columns

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("DOTHI_SHARED", ROOT.parent / "shared")) / "data"
GSO = sorted((DATA / "indicators_vn_gso_2018" / "csv").glob("*.csv"))
OTHERS = [
    path
    for name in ("citizen_sf311", "hydro_vn_imhen", "poi_osm_hanoi", "traffic_nab_minnesota",
                 "vn_admin_2025", "hydro_nl_pastas", "sensor_nab_machine", "vn_admin_mapping")
    for path in sorted((DATA / name).glob("*"))
    if path.name.endswith((".csv", ".csv.gz", "hanoi.json", "full.json", "34.geojson.gz"))
]  # fmt: skip
with_data = pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not beside the project")


def described(path: Path, tmp_path: Path, **how: Any) -> dict[str, Any]:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    with engine(2, "300MB") as root:
        return describe(root, path, how, work, path.name.split(".")[0])


def kinds(found: dict[str, Any]) -> dict[str, str]:
    return {c["name"]: c["kind"] for c in found["columns"]}


@with_data
@pytest.mark.parametrize("path", [*GSO, *OTHERS], ids=lambda p: p.name[:60])
def test_the_proposal_for_a_real_file_is_a_contract(path: Path, tmp_path: Path) -> None:
    found = described(path, tmp_path)
    contract = parse_contract(yaml.safe_dump(found["contract"], allow_unicode=True))
    reader = contract.readers[0]
    names = {c["name"] for c in found["columns"]}
    assert set(reader.columns) <= names
    assert found["rows"]


@with_data
def test_a_statistical_table_is_understood(tmp_path: Path) -> None:
    path = next(p for p in GSO if p.name == "Poverty rate by province.csv")
    found = described(path, tmp_path)
    assert found["notes"]["header_row"] == 3
    assert found["notes"]["above"] == ["Poverty rate by province by Cities, provincies and Year"]
    assert found["looked_at"] == 71
    assert found["wide"]["names"][0] == "2006"
    assert found["wide"]["preliminary"] == ["Pre. 2016"]
    assert len(found["subtotals"]["levels"]["region"]) == 6
    assert found["contract"]["readers"][0]["missing"] == [".."]


@with_data
def test_the_one_file_in_latin_letters_is_read(tmp_path: Path) -> None:
    path = next(p for p in GSO if p.name.startswith("Number of administrative units"))
    found = described(path, tmp_path)
    assert found["notes"]["encoding"] == "latin-1"
    assert found["wide"]["into"] == ["year", "item"]


@with_data
def test_service_requests_keep_their_newlines_and_places(tmp_path: Path) -> None:
    found = described(DATA / "citizen_sf311" / "311_service_requests.csv.gz", tmp_path)
    assert found["looked_at"] == 10_000
    assert kinds(found)["latitude"] == "lat"
    assert kinds(found)["longitude"] == "lon"
    assert kinds(found)["created_date"] == "time"
    assert found["contract"]["key"] == ["unique_key"]


@pytest.mark.parametrize(
    ("values", "kind", "told"),
    [
        (["1", "22", "-3"], "integer", {}),
        (["1.5", "22", "1e3"], "number", {"decimal": "."}),
        (["1,5", "22,75", "0,1"], "number", {"decimal": ","}),
        (["1.234.567,89", "12,5", "1.000"], "number", {"decimal": ",", "thousands": "."}),
        (["1,234,567.89", "12.5"], "number", {"decimal": ".", "thousands": ","}),
        (["1 234 567,8", "12,5"], "number", {"decimal": ",", "thousands": " "}),
        (["001", "002", "010"], "text", {}),
        (["2026-01-31", "2026-02-01T10:00:00+07:00"], "time", {"form": None}),
        (["31/01/2026", "01/02/2026"], "time", {"form": "%d/%m/%Y", "day_first": True}),
        (["01/02/2026", "03/04/2026"], "time", {"form": "%d/%m/%Y", "day_first": True}),
        (["01/31/2026", "02/01/2026"], "time", {"form": "%m/%d/%Y", "day_first": False}),
        (["31/01/2026 07:30", "01/02/2026 23:59"], "time", {"form": "%d/%m/%Y %H:%M"}),
        (["20260131", "20260201"], "time", {"form": "%Y%m%d"}),
        (["Jan.", "February", "Sept"], "month", {}),
        (["Tháng 1", "Tháng 12"], "month", {}),
        (["Đã xử lý", "Đang xử lý"], "text", {}),
        ([None, "  "], "blank", {}),
    ],
)
def test_a_column_is_told_by_its_values(
    values: list[str | None], kind: str, told: dict[str, Any]
) -> None:
    found = guess("x", values)
    assert found.kind == kind
    for name, value in told.items():
        assert getattr(found, name) == value


def test_markers_of_missing_values_are_seen_and_do_not_count() -> None:
    found = guess("pm25", ["12.5", "..", "n/a", "-999", "30", "", "-", "7"])
    assert (found.kind, found.low, found.high) == ("number", 7.0, 30.0)
    assert sorted(found.missing) == ["-", "-999", "..", "n/a"]
    assert found.blank == 0.125


@pytest.mark.parametrize(
    ("names", "into", "preliminary"),
    [
        (["Tỉnh", "2010", "2011", "Sơ bộ 2018"], ["year"], ["Sơ bộ 2018"]),
        (["Tỉnh", "Năm 2010", "Năm 2011", "Năm 2012"], ["year"], []),
        (["Tỉnh", "Total 2010", "Total 2011", "Male 2010", "Male 2011"], ["year", "item"], []),
        (["Tỉnh", "2010 Area", "2010 People", "2011 Area", "2011 People"], ["year", "item"], []),
    ],
)
def test_years_in_the_header_are_found(
    names: list[str], into: list[str], preliminary: list[str]
) -> None:
    found = wide_columns(names)
    assert found is not None
    assert found["names"] == names[1:]
    assert found["into"] == into
    assert found["preliminary"] == preliminary
    assert wide_columns(["time", "pm25", "year 2020", "no2"]) is None


def test_inspect_prints_a_contract_under_comments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mực nước.csv"
    path.write_text("Ngày;Mực nước (m)\n31/01/2026;1,5\n01/02/2026;-\n02/02/2026;2,25\n")
    assert main(["inspect", str(path), "--lang", "vi"]) == 0
    printed = capsys.readouterr().out
    contract = parse_contract(printed)
    assert contract.kind == "series"
    assert "# " in printed
    assert "dấu phẩy thập phân" in printed
    assert contract.readers[0].decimal == ","


def test_beside_a_decimal_comma_a_point_stands_between_thousands(tmp_path: Path) -> None:
    path = tmp_path / "ho_ngheo.csv"
    path.write_text(
        "UBND TỈNH MINH HỌA\nSố hộ nghèo theo xã\n(Đơn vị tính: hộ)\n"
        "Xã;Số hộ;Tỷ lệ\nAn;1.234;3,5\nBình;12.010;4,25\nCam;950;5,1\n"
    )
    found = described(path, tmp_path)
    assert kinds(found) == {"Xã": "text", "Số hộ": "number", "Tỷ lệ": "number"}
    households = found["columns"][1]
    assert (households["thousands"], households["low"], households["high"]) == (".", 950, 12_010)
    contract = parse_contract(yaml.safe_dump(found["contract"], allow_unicode=True))
    assert (contract.readers[0].decimal, contract.readers[0].thousands) == (",", ".")
    assert contract.title["vi"] == "Số hộ nghèo theo xã"
    assert "dấu “.” ngăn cách hàng nghìn" in inspecting.about_column(households, "vi")


def test_without_a_decimal_comma_a_point_stays_a_decimal_point(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("xa;do_man\nAn;1.234\nBình;0.310\n")
    found = described(path, tmp_path)
    assert found["columns"][1]["high"] == 1.234
    assert "thousands" not in found["contract"]["readers"][0]


def test_of_a_file_with_a_header_only_it_is_said_that_it_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("xa;so_ho\n")
    told = inspecting.about_table(described(path, tmp_path), "vi")
    assert told == ["Tệp không có dòng số liệu nào."]


def test_inspect_says_why_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("<OGRVRTDataSource/>")
    assert main(["inspect", str(path), "--lang", "en"]) == 1
    assert "XML" in capsys.readouterr().err
    with pytest.raises(Invalid) as refused:
        inspecting.inspect(path, {})
    assert refused.value.faults[0].key == "lake.file_not_csv"


def test_nothing_in_a_file_can_steer_the_terminal_or_the_contract(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text('"a\x1b[2J\nowner: evil",b\n1,2\n3,4\n')
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert parse_contract(printed).owner == "co-quan"


@with_data
def test_the_proposal_takes_what_is_known_already_and_tells_the_decimals(tmp_path: Path) -> None:
    path = DATA / "hydro_nl_pastas" / "head_nb1.csv"  # 27.610000000000007 stands in it
    known = {"owner": "so-nnmt", "named": "groundwater", "zone": "+01:00"}
    with engine(2, "300MB") as root:
        contract = describe(root, path, {}, tmp_path, "head_nb1", known)["contract"]
    assert contract["parameters"]["head"]["decimals"] == 2
    assert (contract["dataset"], contract["owner"]) == ("groundwater", "so-nnmt")
    assert contract["time"]["zone"] == "+01:00"
    time = parse_contract(yaml.safe_dump(contract)).time
    assert time is not None and time.zone == "Etc/GMT-1"
