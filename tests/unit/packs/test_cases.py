"""`dothi pack`: a pack begun is sound, every fault is named at its place, cases compute for real."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from dothi.cli import main
from dothi.indicators import cases
from dothi.indicators.checking import check, untested
from dothi.kernel.errors import Conflict, Invalid
from dothi.packs.begin import begin
from dothi.packs.load import shipped


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack as `dothi pack new` begins it."""
    folder = tmp_path / "river-watch"
    begin(folder, "so-nnmt")
    return folder


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def said(pack: Path, capsys: pytest.CaptureFixture[str], verb: str = "check") -> tuple[int, str]:
    """What the command answers: exit code, everything printed."""
    code = main(["pack", verb, str(pack)])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_pack_begun_is_sound_and_its_case_holds(pack: Path) -> None:
    checked = check([pack])
    assert [len(checked.cases), untested(checked)] == [1, []]
    assert cases.differences(checked.cases[0], checked.subjects) == []


def test_nothing_is_overwritten_and_names_are_checked(tmp_path: Path, pack: Path) -> None:
    with pytest.raises(Conflict):
        begin(pack, "so-nnmt")
    with pytest.raises(Invalid) as refused:
        begin(tmp_path / "Sông", "Sở TNMT")
    assert len(refused.value.faults) == 2
    assert not (tmp_path / "Sông").exists()


def test_documents_are_counted_as_in_the_worked_example(tmp_path: Path, shared: Path) -> None:
    """PUB-08, through the pack's own indicator."""
    found = json.loads((shared / "facts" / "oracles.json").read_text("utf-8"))["oracles"]
    [example] = [oracle for oracle in found if oracle["id"] == "PUB-08"]
    given, out = example["input"], example["output"]
    names = {"signed_by_authority_and_agency": "signed"}
    row = {names.get(name, name): value for name, value in given.items()}
    pack = tmp_path / "public-services"
    shutil.copytree(shipped() / "public-services", pack)

    def wrong(**other: float) -> list[str]:
        case = {
            "indicator": "document_handling",
            "rows": {"official_documents": [{"agency": "A", "time": "2026-10-01", **row}]},
            "expect": [{"agency": "A", "period": "2026-10", **out, **other}],
        }
        (pack / "tests" / "document_handling.yaml").write_text(json.dumps(case), "utf-8")
        checked = check([pack])
        return [
            d.where for case in checked.cases for d in cases.differences(case, checked.subjects)
        ]

    assert wrong() == []
    assert len(wrong(on_time_pct=out["on_time_pct"] + 0.1)) == 1


def test_the_shipped_packs_hold_all_their_cases() -> None:
    checked = check(sorted(p.parent for p in shipped().glob("*/pack.yaml")))
    wrong = [d for case in checked.cases for d in cases.differences(case, checked.subjects)]
    assert [f"{d.where} {d.text('en')}" for d in wrong] == []
    assert [name for name in untested(checked) if name != "score766"] == []


def test_all_faults_of_all_files_are_said_at_once_each_at_its_place(
    pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(pack / "pack.yaml", "version: 0.1.0", "version: first")
    change(pack / "datasets/river_watch.yaml", "unit: m\n", "unit: furlongs\n")
    change(pack / "datasets/river_watch.yaml", "rhythm: PT1H", "rhythmm: PT1H")
    (pack / "dashbord.yaml").write_text("tiles: []\n", "utf-8")
    code, text = said(pack, capsys)
    assert code == 1
    places = re.findall(r"^(\S+?):(?:(\d+):(\d+):)? ", text, re.MULTILINE)
    assert {Path(file).name for file, _, _ in places} == {
        "pack.yaml", "river_watch.yaml", "dashbord.yaml",
    }  # fmt: skip
    assert sum("river_watch.yaml" in file for file, _, _ in places) == 2


def test_the_sql_and_the_cases_are_checked_in_the_same_round(
    pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(pack / "indicators/river_watch_daily.sql", "max(value)", "max(valu)")
    code, text = said(pack, capsys)
    assert (code, "river_watch_daily.sql" in text) == (1, True)
    change(pack / "indicators/river_watch_daily.sql", "max(valu)", "max(value)")
    case = pack / "tests/river_watch_daily.yaml"
    change(case, "level: 1.20", "depth: 1.20")
    change(case, "period: 2026-01-06", "period: 2026-13-06")
    change(case, "time: 2026-01-05 14:30", "time: yesterday")
    code, text = said(pack, capsys)
    assert code == 1
    assert sorted(re.findall(r"river_watch_daily\.yaml:(\d+):", text)) == ["12", "6", "9"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("highest: 2.35", "highest: 2.45", "2.45"),
        ("highest: null", "highest: 1", "–"),
        ("level: 2.35", "level: 2.36", "2.36"),
        ("level: 99", "level: 9", "9"),
    ],
)
def test_a_case_that_does_not_hold_says_where_and_what_came_out(
    pack: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, expected: str
) -> None:
    change(pack / "tests/river_watch_daily.yaml", old, new)
    code, text = said(pack, capsys, "test")
    assert code == 1
    assert re.search(r"river_watch_daily\.yaml:1[0-2]:\d+: ", text)
    assert expected in text


def test_a_case_may_read_another_indicator(pack: Path) -> None:
    shutil.copy(
        pack / "indicators/river_watch_daily.sql", pack / "indicators/river_watch_twice.sql"
    )
    second = pack / "indicators/river_watch_twice.sql"
    change(second, "  river_watch: [level]", "  river_watch_daily: [highest]")
    change(second, "FROM river_watch\n", "FROM river_watch_daily\n")
    change(second, "parameter = 'level'", "parameter = 'highest'")
    change(second, "max(value)", "2 * max(value)")
    (pack / "tests/river_watch_twice.yaml").write_text(
        "indicator: river_watch_twice\n"
        "rows: {river_watch_daily: [{station: A, time: 2026-01-05, highest: 3}]}\n"
        "expect: [{station: A, period: 2026-01-05, highest: 6}]\n",
        "utf-8",
    )
    checked = check([pack])
    assert len(checked.cases) == 2
    for case in checked.cases:
        assert cases.differences(case, checked.subjects) == []


def test_a_run_of_months_goes_by_the_calendar(tmp_path: Path) -> None:
    """Twelve rows of a leap year, one in each month; the last day of January goes to the last of February."""
    pack = tmp_path / "environment"
    shutil.copytree(shipped() / "environment", pack)
    (pack / "tests" / "waste_collected.yaml").write_text(
        "indicator: waste_collected\n"
        "rows:\n"
        "  household_waste:\n"
        "    - {agency: A, from: 2024-01-01, to: 2024-12-01, every: P1M, generated_t: 4, collected_t: 3}\n"
        "    - {agency: B, from: 2024-01-31, to: 2024-12-31, every: P1M, generated_t: 4, collected_t: 3}\n"
        "expect:\n"
        + "".join(
            f"  - {{agency: {agency}, period: 2024-{month:02d}, collected_share: 75, generated_t: 4}}\n"
            for agency in "AB"
            for month in range(1, 13)
        )
        + "  - {agency: A, period: 2025-01, collected_share: null}\n"
    )
    assert main(["pack", "test", str(pack)]) == 0


def test_folders_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        check([tmp_path / "nowhere"])
    assert "nowhere" in refused.value.faults[0].where


def test_a_run_without_end_is_refused(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(pack / "tests/river_watch_daily.yaml", "to: 2026-01-05 23:00", "to: 3026-01-05 23:00")
    assert said(pack, capsys)[0] == 1
    change(pack / "tests/river_watch_daily.yaml", "every: PT1H", "every: often")
    assert said(pack, capsys)[0] == 1
