"""What an indicator's file may say: everything wrong is named at once, nothing hostile passes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dothi.indicators import definition
from dothi.indicators.model import Definition
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.period import Period
from dothi.lake.contract import parse_contract
from dothi.packs.load import load_all, shipped
from dothi.packs.model import Pack, PackFile

FRONT = """---
title: {vi: Thử, en: Try}
words: {vi: Thử, en: Try}
inputs: {air_quality: [pm25, o3]}
key: [station]
period: {grain: day}
better: lower
outputs:
  figure: {title: {vi: Số, en: Figure}, unit: µg/m³, decimals: 1}
---
"""
GOOD = """SELECT station, day AS time, max(value) AS figure
FROM air_quality WHERE usable AND parameter = 'pm25' GROUP BY station, day"""


@pytest.fixture(scope="module")
def environment() -> Pack:
    (pack,) = [p for p in load_all(shipped()) if p.name == "environment"]
    return pack


def read(pack: Pack, *texts: str) -> list[Definition]:
    files = tuple(PackFile(Path(f"try{i or ''}.sql"), text) for i, text in enumerate(texts))
    return definition.load([Pack(**{**pack.__dict__, "indicators": files})])


def faults(pack: Pack, *texts: str) -> list[Fault]:
    with pytest.raises(Invalid) as caught:
        read(pack, *texts)
    for fault in caught.value.faults:
        assert fault.text("vi") and fault.text("en")
    return caught.value.faults


HOSTILE = [
    "SELECT station, day AS time, max(value) AS figure FROM read_csv('/etc/passwd')",
    "SELECT station, day AS time, max(value) AS figure FROM '/etc/passwd'",
    "SELECT station, day AS time, max(value) AS figure FROM read_text('/etc/passwd')",
    "SELECT station, day AS time, max(value) AS figure FROM read_parquet('s3://x/*')",
    "SELECT station, day AS time, max(value) AS figure FROM glob('/**')",
    "SELECT station, day AS time, max(value) AS figure FROM postgres_query('lake', 'SELECT 1')",
    "SELECT station, day AS time, max(value) AS figure FROM duckdb_secrets()",
    "SELECT station, day AS time, max(value) AS figure FROM information_schema.tables",
    "SELECT station, day AS time, max(value) AS figure FROM lake.main.series_1",
    "SELECT station, day AS time, max(value) AS figure FROM dothi.account",
    "SELECT station, day AS time, max(value) AS figure FROM other_dataset",
    "SELECT station, day AS time, getenv('HOME') AS figure FROM air_quality",
    "SELECT station, day AS time, current_setting('home_directory') AS figure FROM air_quality",
    "SELECT station, day AS time, (SELECT content FROM read_text('x')) AS figure FROM air_quality",
    "SELECT station, day AS time, value AS figure FROM air_quality WHERE EXISTS (FROM glob('/*'))",
    "SELECT station, now() AS time, random() AS figure FROM air_quality",
    "SELECT station, day AS time, value AS figure FROM air_quality, range(1000000000)",
    "SELECT station, day AS time, unnest(range(1000000)) AS figure FROM air_quality",
    "SELECT station, day AS time, sleep(5) AS figure FROM air_quality",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) "
    "SELECT station, day AS time, n AS figure FROM r, air_quality",
    "WITH air_quality AS (SELECT 1 AS value) SELECT station, day AS time, value AS figure "
    "FROM air_quality",
    "SELECT * FROM air_quality",
    "COPY air_quality TO '/tmp/out.csv'",
    "COPY (SELECT 1) TO '/tmp/out.csv'",
    "ATTACH '/tmp/x.db' AS x",
    "INSTALL httpfs",
    "LOAD '/tmp/evil.duckdb_extension'",
    "PRAGMA database_list",
    "SET enable_external_access = true",
    "CREATE TABLE x AS SELECT 1",
    "DROP TABLE air_quality",
    "DELETE FROM air_quality",
    "UPDATE air_quality SET value = 0",
    "CALL pragma_version()",
    "EXPORT DATABASE '/tmp/x'",
    "VALUES (1)",
    f"{GOOD}; DROP TABLE air_quality",
    f"{GOOD}; {GOOD}",
    f"{GOOD} UNION ALL SELECT station, day, 1 FROM secrets",
    "SELECT station, day AS time, 1::BLOB AS figure FROM air_quality",
    "SELECT station, day AS time, {'a': value} AS figure FROM air_quality",
    "SELECT station, day AS time, list(value)[1] AS figure FROM air_quality GROUP BY 1, 2",
    "SELECT station, day AS time, COLUMNS('.*') AS figure FROM air_quality",
    "SELECT station, day AS time, current_user AS figure FROM air_quality",
    "SELECT station, day AS time, session_user AS figure FROM air_quality",
    "SELECT station, day AS time, value AS figure FROM air_quality TABLESAMPLE 10%",
    "SELECT station, day AS time, value AS figure FROM air_quality LIMIT 5",
    "PIVOT air_quality ON parameter USING max(value)",
    "SELECT station, day AS time, value AS figure FROM query('SELECT 1')",
    "SELECT station, day AS time, value AS figure FROM query_table('air_quality')",
    "SELECT station, time, aqi AS figure FROM vn_aqi_hourly((SELECT stream, time, value "
    "FROM read_csv('/etc/passwd')))",
    "SELECT station, time, aqi AS figure FROM vn_aqi_daily('air_quality')",
    "",
    "SELECT station, day AS time, 'x' || value AS figure FROM air_quality -- \x00",
    "SELECT " + "(" * 3000 + "1" + ")" * 3000,
]


@pytest.mark.parametrize("statement", HOSTILE, ids=lambda s: s[:60])
def test_nothing_but_one_select_over_the_packs_own_data(environment: Pack, statement: str) -> None:
    found = faults(environment, FRONT + statement)
    assert all(fault.where.startswith("try.sql:") for fault in found)


def test_every_fault_is_named_with_its_line_and_column(environment: Pack) -> None:
    text = FRONT.replace("pm25, o3", "pm25, radon") + (
        "SELECT station,\n"
        "       day AS time,\n"
        "       getenv('HOME') AS figure\n"
        "FROM air_quality\n"
        "JOIN read_csv('x') USING (station)\n"
    )
    found = [(fault.where, fault.key) for fault in faults(environment, text)]
    assert found == [
        ("try.sql:4:30", "lake.unknown_parameter"),
        ("try.sql:13:8", "indicators.sql_function"),
        ("try.sql:15:6", "indicators.sql_table"),
    ]


def test_faults_of_front_matter_and_columns(environment: Pack) -> None:
    assert faults(environment, "SELECT 1")[0].key == "indicators.no_front_matter"
    keys = [f.key for f in faults(environment, FRONT.replace("µg/m³", "furlong") + GOOD)]
    assert keys == ["kernel.unknown_unit"]
    keys = [f.key for f in faults(environment, FRONT + GOOD.replace("figure", "other"))]
    assert keys == ["indicators.sql_missing", "indicators.sql_extra"]
    keys = [f.key for f in faults(environment, FRONT + GOOD.replace("max(value)", "max(valu)"))]
    assert keys == ["indicators.sql_column"]
    keys = [f.key for f in faults(environment, FRONT + GOOD.replace("day AS", "CAST(day AS DATE) AS"))]  # fmt: skip
    assert keys == ["indicators.sql_time"]
    keys = [f.key for f in faults(environment, FRONT + GOOD.replace("max(value)", "max(station)"))]
    assert keys == ["indicators.sql_number"]
    keys = [f.key for f in faults(environment, FRONT + GOOD.replace("'pm25'", "5 > day"))]
    assert keys == ["indicators.sql_binding"]


def test_indicators_may_not_rest_on_each_other_in_a_circle(environment: Pack) -> None:
    def over(other: str) -> str:
        front = FRONT.replace("{air_quality: [pm25, o3]}", f"{{{other}: [figure]}}")
        return front + GOOD.replace("air_quality", other).replace("'pm25'", "'figure'")

    found = faults(environment, over("try1"), over("try"))
    assert {fault.key for fault in found} == {"indicators.circle"}
    ordered = read(environment, over("try1"), FRONT + GOOD)
    assert [one.name for one in ordered] == ["try1", "try"]


def test_what_an_analyst_would_write_passes(environment: Pack) -> None:
    for statement in (
        GOOD,
        "WITH hourly AS (SELECT station, day, hour, avg(value) AS mean FROM air_quality "
        "WHERE parameter = 'o3' AND usable GROUP BY ALL) "
        "SELECT station, day AS time, round(max(mean), 1) AS figure FROM hourly GROUP BY 1, 2",
        "SELECT station, day AS time, quantile_cont(value, 0.98) AS figure FROM air_quality "
        "WHERE usable AND value BETWEEN 0 AND 500 GROUP BY station, day HAVING count(*) > 10",
        "SELECT a.station, a.day AS time, avg(a.value) FILTER (WHERE a.quality = 0) / "
        "nullif(avg(b.value), 0) AS figure FROM air_quality a JOIN air_quality b "
        "ON a.station = b.station AND a.time = b.time AND b.parameter = 'o3' "
        "WHERE a.parameter = 'pm25' GROUP BY 1, 2",
        "SELECT station, day AS time, CASE WHEN max(value) > 50 THEN 1 ELSE 0 END AS figure "
        "FROM air_quality GROUP BY station, day",
    ):
        (one,) = read(environment, FRONT + statement)
        assert one.grain == "day"


def test_the_shipped_packs_have_no_fault() -> None:
    found = definition.load(load_all(shipped()))
    assert {"vn_aqi_hourly", "vn_aqi_daily", "pm25_24h_mean"} <= {one.name for one in found}


def test_a_file_says_which_way_is_better(environment: Pack) -> None:
    (told,) = read(environment, FRONT + GOOD)
    assert told.outputs[0].better == "lower"
    (fault,) = faults(environment, FRONT.replace("better: lower\n", "") + GOOD)
    assert fault.key == "indicators.no_direction"
    (fault,) = faults(environment, FRONT.replace("better: lower", "better: up") + GOOD)
    assert fault.where == "try.sql:7:9" and "higher, lower, none" in fault.text("en")


def test_an_output_says_its_own_and_names_are_never_better(environment: Pack) -> None:
    front = FRONT.replace("decimals: 1}", "decimals: 1, better: higher}\n  kind: {title: {vi: Loại, en: Kind}, "
                          "unit: '1', decimals: 0, labels: {0: {vi: A, en: A}}}")  # fmt: skip
    (told,) = read(environment, front + GOOD.replace("AS figure\n", "AS figure, 0 AS kind\n"))
    assert [one.better for one in told.outputs] == ["higher", "none"]


def test_a_file_stored_before_it_had_to_say_so_is_read_as_saying_neither() -> None:
    old = definition.parse(FRONT.replace("better: lower\n", "") + GOOD, "p", "o", "try.sql")
    assert old.outputs[0].better == "none"


def test_every_shipped_figure_has_its_direction() -> None:
    said = {one.name: one.outputs[0].better for one in definition.load(load_all(shipped()))}
    assert said["vn_wqi_daily"] == "higher" and said["vn_aqi_hourly"] == "lower"
    assert "none" not in said.values()


def by(grain: str, more: str = "") -> str:
    """A sound indicator of that grain, with a line more in its front matter."""
    front = FRONT.replace("period: {grain: day}\n", f"period: {{grain: {grain}}}\n{more}")
    return front + GOOD.replace("day", grain)


@pytest.mark.parametrize(
    ("grain", "rhythm", "days"),
    [("month", "P1M", 45), ("quarter", "P3M", 125), ("year", "P1Y", 460)],
)
def test_months_quarters_and_years_are_grains(
    environment: Pack, grain: str, rhythm: str, days: int
) -> None:
    """Their series goes by the calendar, and stays fresh until the next figure can be there."""
    (made,) = read(environment, by(grain))
    assert made.grain == grain and made.by_calendar
    assert made.freshness == timedelta(days=days) > made.size
    air = next(c for c in environment.contracts if c.name == "air_quality")
    own = parse_contract(definition.contract_text(made, air, {"public": False, "ground": "x"}))
    assert own.time is not None
    assert f"rhythm: {rhythm}\n" in own.source and own.time.stamp == "start"
    period = own.time.period(Period.parse("2026-03-31").end - timedelta(seconds=1))
    assert period is not None and period.grain == grain


def test_what_is_stale_before_the_next_figure_is_refused(environment: Pack) -> None:
    (fault,) = faults(environment, by("month", "freshness: P10D\n"))
    assert fault.key == "indicators.freshness_short" and fault.where == "try.sql:7:12"
    assert "31" in fault.text("vi") and "31" in fault.text("en")
    (made,) = read(environment, by("month", "freshness: P31D\n"))
    assert made.freshness == timedelta(days=31)
    assert read(environment, by("day", "freshness: PT3H\n"))[0].freshness == timedelta(hours=3)


def test_a_function_of_days_is_none_of_months(environment: Pack) -> None:
    text = by("month").replace(
        "FROM air_quality", "FROM vn_aqi_daily((SELECT stream, time, value FROM air_quality))"
    )
    assert "indicators.sql_grain" in {fault.key for fault in faults(environment, text)}


def test_there_are_no_weeks(environment: Pack) -> None:
    assert "lake.yaml_want_choice" in {f.key for f in faults(environment, by("week"))}


def test_instants_of_calendar_periods_follow_their_lengths(environment: Pack) -> None:
    (made,) = read(environment, by("month"))
    newest = made.instant_of(Period.parse("2026-03"))
    told = [made.period_at(t).code for t in made.instants_before(newest, 3)]
    assert told == ["2025-12", "2026-01", "2026-02", "2026-03"]
    told = [made.period_at(t).code for t in made.instants_before(newest, 2, every=6)]
    assert told == ["2025-03", "2025-09", "2026-03"]


def test_only_counts_of_days_months_and_quarters_are_added_over_time(environment: Pack) -> None:
    added = "decimals: 1, over_time: sum}"
    (one,) = read(environment, FRONT.replace("decimals: 1}", added) + GOOD)
    assert one.outputs[0].over_time
    year = Period.parse("2024")
    assert [p.code for p in one.periods_in(year)][:2] == ["2024-01-01", "2024-01-02"]
    assert len(one.periods_in(year)) == 366
    front = FRONT.replace("µg/m³", '"%"').replace("decimals: 1}", added)
    assert [f.key for f in faults(environment, front + GOOD)] == ["indicators.rate_not_added"]
    hourly = FRONT.replace("grain: day", "grain: hour").replace("decimals: 1}", added)
    keys = [f.key for f in faults(environment, hourly + GOOD.replace("day", "hour"))]
    assert keys == ["indicators.no_longer_period"]
