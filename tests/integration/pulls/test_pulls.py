"""Pulls from real servers: PostgreSQL and MariaDB."""

from __future__ import annotations

import importlib.util
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Invalid
from dothi.kernel.i18n import t
from dothi.lake import loads
from dothi.pulls import service
from dothi.pulls.jobs import advance
from dothi.pulls.running import Ground, Limits
from dothi.pulls.running import run as run_pull
from tests.integration.pulls.conftest import (
    DOSSIERS,
    PASSWORD,
    READER,
    Foreign,
    Town,
    make_table,
)


def _fill(foreign: Foreign, first: int, last: int, *, same: int | None = None) -> None:
    """Rows HS-first to HS-last, changed one second apart, `seq` as the number or `same`."""
    seq = "n" if same is None else str(same)
    if foreign.kind == "postgresql":
        foreign.do(
            f"INSERT INTO hoso SELECT 'HS-' || n, n * 0.25, 'Hồ sơ số ' || n, "
            f"timestamp '2026-01-01' + n * interval '1 second', {seq} "
            f"FROM generate_series({first}, {last}) n"
        )
    else:
        foreign.do(
            f"INSERT INTO hoso SELECT concat('HS-', seq), seq * 0.25, concat('Hồ sơ số ', seq), "
            f"timestamp('2026-01-01') + interval seq second, {seq.replace('n', 'seq')} "
            f"FROM seq_{first}_to_{last}"
        )


def _emptied(foreign: Foreign) -> Foreign:
    """A server with an empty table `hoso`."""
    make_table(foreign)
    return foreign


def test_what_is_new_comes_and_what_changed_is_replaced(town: Town, foreign: Foreign) -> None:
    _fill(foreign, 1, 1000)
    pull = town.pull(town.source(foreign), batch_rows="300")
    first = town.run(pull)
    assert (first.state, first.error) == ("done", None), first.error
    assert (first.counted, first.read, first.parsed, first.new) == (1000, 1000, 1000, 1000)
    assert first.findings == [] and len(first.loads) == 4
    assert town.now(pull).reached == "1000"

    _fill(foreign, 1001, 1010)
    foreign.do("UPDATE hoso SET note = 'sửa', seq = 1011 WHERE code = 'HS-5'")
    second = town.run(pull)
    assert (second.counted, second.read) == (12, 12), "the last value is read once more"
    assert (second.new, second.changed, second.same) == (10, 1, 1)
    rows = town.rows()
    assert len(rows) == 1010
    assert rows["HS-5"]["note"] == "sửa"
    assert rows["HS-7"]["fee"] == 1.75
    # Without a zone in the source the contract's holds.
    assert rows["HS-7"]["changed_at"].astimezone(UTC) == datetime(
        2025, 12, 31, 17, 0, 7, tzinfo=UTC
    )


def test_rows_with_one_watermark_at_a_border_all_come(town: Town, foreign: Foreign) -> None:
    _fill(foreign, 1, 50)
    _fill(foreign, 51, 350, same=51)
    pull = town.pull(town.source(foreign), batch_rows="150")
    assert town.run(pull, Limits(rows=200)).state == "more"
    # Where the run stopped, hundreds of rows share the value reached: not one is passed over.
    _fill(foreign, 351, 360, same=51)
    assert town.run(pull).state == "done"
    assert len(town.rows()) == 360


def test_a_run_with_too_many_equal_watermarks_says_so(
    town: Town, foreign_postgres: Foreign
) -> None:
    foreign = _emptied(foreign_postgres)
    _fill(foreign, 1, 400, same=7)
    pull = town.pull(town.source(foreign), batch_rows="100")
    assert town.run(pull, Limits(rows=100)).state == "more"
    stuck = town.run(pull, Limits(rows=100))
    assert stuck.error is not None and stuck.error["key"] == "pulls.no_progress"
    assert town.now(pull).failures == 1


def test_nothing_new_is_no_load(town: Town, foreign_postgres: Foreign) -> None:
    foreign = _emptied(foreign_postgres)
    _fill(foreign, 1, 10)
    pull = town.pull(town.source(foreign))
    town.run(pull)
    town.run(pull)  # the last row once more, which is new as a file
    again = town.run(pull)
    assert (again.state, again.loads, again.read) == ("done", [], 1)
    assert again.findings == [{"kind": "unchanged", "count": 1}]


def test_rows_that_came_late_need_an_overlap(town: Town, foreign: Foreign) -> None:
    _fill(foreign, 1, 100)
    source = town.source(foreign)
    narrow = town.pull(source, mark="changed_at", mark_type="timestamp")
    town.define(DOSSIERS.replace("dossiers", "dossiers_wide"))
    wide = town.pull(
        source, name="rong", dataset="dossiers_wide", mark="changed_at", mark_type="timestamp",
        overlap="60",
    )  # fmt: skip
    town.run(narrow)
    town.run(wide)
    foreign.do(
        "INSERT INTO hoso VALUES ('muon', 1, 'giao dịch dài', timestamp '2026-01-01 00:01:10', 0)"
    )
    town.run(narrow)
    assert "muon" not in town.rows()
    second = town.run(wide)
    assert "muon" in town.rows("dossiers_wide")
    assert (second.new, second.same) == (1, 61)


def test_a_row_that_does_not_fit_lies_in_quarantine_and_the_watermark_goes_on(
    town: Town, foreign: Foreign
) -> None:
    _fill(foreign, 1, 9)
    foreign.do("UPDATE hoso SET fee = 9000000 WHERE seq = 3")
    pull = town.pull(town.source(foreign))
    first = town.run(pull)
    assert (first.read, first.new, first.rejected, first.findings) == (9, 8, 1, [])
    # A run whose only rows are unusable is a load too: otherwise one row would block all after it.
    foreign.do("DELETE FROM hoso WHERE seq = 9")
    foreign.do("INSERT INTO hoso VALUES ('xau', -5, NULL, timestamp '2026-02-01 00:00:00', 10)")
    second = town.run(pull)
    assert (second.state, second.read, second.new, second.rejected) == ("done", 1, 0, 1)
    assert town.now(pull).reached == "10"
    with town.db.transaction() as conn:
        kept = conn.execute(
            "SELECT column_name, value, reason FROM quarantine WHERE load_id = %s", (second.loads)
        ).fetchall()
    assert kept == [("fee", "-5.00", "lake.out_of_range")]


def test_a_load_says_where_its_rows_come_from(town: Town, foreign_postgres: Foreign) -> None:
    foreign = _emptied(foreign_postgres)
    _fill(foreign, 5, 9)
    run = town.run(town.pull(town.source(foreign)))
    with town.db.transaction() as conn:
        load, _ = loads.get(conn, SYSTEM, run.loads[0])
    said = load.report["pull"]
    assert (load.door, load.actor) == ("pull", "pull:ho-so")
    assert (said["source"], said["from"], said["to"]) == (f"{foreign.kind}-nguon", "5", "9")
    assert said["query"].startswith("SELECT code") and said["run"] == run.id


def test_a_column_that_vanished_is_named_and_nothing_is_lost(town: Town, foreign: Foreign) -> None:
    _fill(foreign, 1, 5)
    pull = town.pull(town.source(foreign))
    town.run(pull)
    foreign.do("ALTER TABLE hoso DROP COLUMN fee")
    broken = town.run(pull)
    assert broken.error is not None and broken.error["key"] == "pulls.bad_query"
    assert "fee" in broken.error["params"]["problem"]
    foreign.do("ALTER TABLE hoso ADD COLUMN fee numeric(12, 2)")
    _fill_more(foreign)
    assert town.run(pull).state == "done"
    assert len(town.rows()) == 6


def _fill_more(foreign: Foreign) -> None:
    foreign.do(
        "INSERT INTO hoso (code, changed_at, seq) VALUES ('sau', timestamp '2026-01-02 00:00:00', 6)"
    )


def test_a_select_without_the_contracts_columns_names_them(
    town: Town, foreign_postgres: Foreign
) -> None:
    foreign = _emptied(foreign_postgres)
    _fill(foreign, 1, 5)
    pull = town.pull(town.source(foreign), query="SELECT code, fee, seq FROM hoso")
    broken = town.run(pull)
    assert broken.error is not None and broken.error["key"] == "lake.file_refused"
    assert "changed_at" in broken.error["faults"][0]["params"]["missing"]
    assert town.now(pull).reached is None


def test_a_wrong_password_is_told_and_tried_ever_less_often(town: Town, foreign: Foreign) -> None:
    pull = town.pull(town.source(foreign, said="sai"))
    waits = []
    for _ in range(3):
        run = town.run(pull)
        assert run.error is not None and run.error["key"] == "pulls.login", run.error
        due, ended = town.now(pull).due_at, run.ended_at
        assert due is not None and ended is not None
        waits.append((due - ended).total_seconds())
    assert waits == [3600, 7200, 14400]


@pytest.mark.parametrize(
    ("more", "query", "key"),
    [
        ({"database": "khong_co"}, "", "pulls.(no_database|login)"),
        ({"port": "1"}, "", "pulls.unreachable"),
        ({"host": "khong-co.invalid"}, "", "net.no_such_host"),
        ({}, "SELECT * FROM khong_co", "pulls.bad_query|pulls.no_permission"),
        ({}, "SELECT code, code AS Code, seq FROM hoso", "pulls.(column_names|bad_query)"),
        ({}, "SELECT code, fee, changed_at FROM hoso", "pulls.no_mark_column"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    town: Town, foreign: Foreign, more: dict[str, str], query: str, key: str
) -> None:
    pull = town.pull(town.source(foreign, **more), **({"query": query} if query else {}))
    run = town.run(pull)
    assert run.error is not None and re.fullmatch(key, run.error["key"]), run.error
    for lang in ("vi", "en"):
        assert t(run.error["key"], lang, **run.error["params"])


def test_a_source_in_no_named_network_is_not_asked(town: Town, foreign_postgres: Foreign) -> None:
    foreign = _emptied(foreign_postgres)
    ground = town.ground
    for networks in ((), ("10.0.0.0/8",), ("0.0.0.0/0", "::/0")):
        settings = ground.settings.with_(pull_networks=networks)
        other = Town(Ground(ground.db, ground.lake, ground.files, settings))
        pull = other.pull(other.source(foreign, name=f"n{len(networks)}"), name=f"p{len(networks)}")
        run = other.run(pull)
        assert run.error is not None and run.error["key"] == "net.database_not_named"


def test_a_full_refresh_takes_out_what_is_gone(town: Town, foreign_postgres: Foreign) -> None:
    foreign = _emptied(foreign_postgres)
    town.define(DOSSIERS.replace("key: [code]", "key: [code]\nrows: snapshot").replace(
        "dossiers", "dossiers_now"))  # fmt: skip
    _fill(foreign, 1, 10)
    pull = town.pull(town.source(foreign), dataset="dossiers_now", mark="", batch_rows="100")
    assert town.run(pull).new == 10
    foreign.do("DELETE FROM hoso WHERE seq <= 4")
    second = town.run(pull)
    assert (second.removed, second.same, len(second.loads)) == (4, 6, 1)
    # What comes back as it was before is a change like any other, although its rows are those of
    # a load that is there already.
    _fill(foreign, 1, 4)
    town.run(pull)
    assert len(town.rows("dossiers_now")) == 10
    foreign.do("DELETE FROM hoso")
    empty = town.run(pull)
    assert empty.error is not None and empty.error["key"] == "pulls.empty_snapshot"
    assert len(town.rows("dossiers_now")) == 10


def test_rows_without_end_and_slow_ones_are_cut(town: Town, foreign_postgres: Foreign) -> None:
    source = town.source(foreign_postgres)
    endless = town.pull(
        source, batch_rows="2000",
        query="SELECT 'c' || n AS code, 1 AS fee, now() AS changed_at, n AS seq "
              "FROM generate_series(1, 100000000) n",
    )  # fmt: skip
    # Counting what has no end is stopped by the statement's own limit.
    assert (town.run(endless, Limits(statement_s=1)).error or {})["key"] == "pulls.too_slow"
    slow = town.pull(
        source, name="cham", batch_rows="100",
        query="SELECT 'd' || n AS code, 1 AS fee, now() AS changed_at, n AS seq, "
              "CASE WHEN n > 100 THEN pg_sleep(0.05)::text END AS nap FROM generate_series(1, 500) n ORDER BY n",
    )  # fmt: skip
    part = town.run(slow, Limits(seconds=2))
    assert (part.state, part.counted) == ("more", 500)
    assert 100 <= part.new < 500
    assert part.findings == [{"kind": "left", "count": 500 - part.read}]
    reached = town.now(slow).reached
    assert reached is not None and int(reached) == part.read


def test_a_huge_cell_is_refused_by_name_not_by_falling_over(
    town: Town, foreign_postgres: Foreign
) -> None:
    source = town.source(foreign_postgres)
    for name, size in (("dai", 2_000_000), ("khong-lo", 150_000_000)):
        pull = town.pull(
            source, name=name,
            query=f"SELECT 'x' AS code, repeat('a', {size}) AS note, now() AS changed_at, 1 AS seq",
        )  # fmt: skip
        run = town.run(pull)
        assert run.error is not None
        assert run.error["key"] in ("pulls.long_row", "pulls.memory"), run.error
    assert town.rows() == {}


def test_a_select_that_writes_is_refused_by_the_transaction(
    town: Town, foreign_postgres: Foreign
) -> None:
    foreign_postgres.do("DROP TABLE IF EXISTS dem; CREATE TABLE dem (n int)")
    foreign_postgres.do("GRANT INSERT ON dem TO doc")
    foreign_postgres.do(
        "CREATE OR REPLACE FUNCTION ghi() RETURNS int LANGUAGE sql VOLATILE SECURITY DEFINER AS "
        "$$ INSERT INTO dem VALUES (1) RETURNING n $$"
    )
    pull = town.pull(town.source(foreign_postgres), query="SELECT ghi() AS code, 1 AS seq")
    run = town.run(pull)
    assert run.error is not None and run.error["key"] == "pulls.writes"
    assert foreign_postgres.do("SELECT count(*) FROM dem") == [(0,)]


def test_one_source_is_read_by_one_run_at_a_time(town: Town, foreign_postgres: Foreign) -> None:
    source = town.source(foreign_postgres)
    slow = "SELECT 'a' AS code, now() AS changed_at, 1 AS seq, pg_sleep(1.5)::text AS nap"
    first = town.pull(source, query=slow)
    second = town.pull(
        source, name="hai", query="SELECT 'b' AS code, now() AS changed_at, 2 AS seq"
    )
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(advance, town.ground)
        _until(lambda: _one(town, "SELECT count(*) FROM pull_run WHERE state = 'running'") == 1)
        assert run_pull(town.ground, second.id) is None
        assert running.result(30)
    assert town.now(first).due_at > town.now(second).due_at  # type: ignore[operator]
    assert advance(town.ground) and not advance(town.ground)
    assert set(town.rows()) == {"a", "b"}


def test_the_server_goes_away_in_the_middle(town: Town, foreign: Foreign) -> None:
    _fill(foreign, 1, 2000)
    sleep = "pg_sleep(0.02)::text" if foreign.kind == "postgresql" else "sleep(0.02)"
    pull = town.pull(
        town.source(foreign), batch_rows="100",
        query=f"SELECT code, fee, note, changed_at, seq, {sleep} AS nap FROM hoso WHERE seq > 0",
    )  # fmt: skip
    with ThreadPoolExecutor(1) as beside:
        # MariaDB sorts, and sleeps, before the first row; PostgreSQL sleeps for the count too.
        running = beside.submit(town.run, pull)
        _until(lambda: _cut_off(foreign) or running.done())
        run = running.result(60)
    assert run.state == "failed" and run.error is not None
    assert run.error["key"] == "pulls.gone", run.error
    town.define(DOSSIERS)
    quick = town.pull(f"{foreign.kind}-nguon", name="nhanh")
    assert town.run(quick).new == 2000


def _cut_off(foreign: Foreign) -> bool:
    """End the pull's connection from the server's side, once it reads; whether there was one."""
    if foreign.kind == "postgresql":
        return bool(
            foreign.do(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'dothi pull' AND query LIKE '%hoso WHERE seq%'"
            )
        )
    found = foreign.do(
        "SELECT id FROM information_schema.processlist "
        "WHERE user = 'doc' AND info LIKE '%hoso WHERE seq%'"
    )
    for (number,) in found:
        foreign.do(f"KILL CONNECTION {number}")
    return bool(found)


def _one(town: Town, query: str) -> Any:
    with town.db.transaction() as conn:
        row = conn.execute(query).fetchone()  # type: ignore[arg-type]
    return row[0] if row else None


def _until(holds: Callable[[], object]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_certificate_is_believed_when_its_authority_is_known(
    town: Town, foreign_mariadb: Foreign
) -> None:
    ground = town.ground
    query = "SELECT 'a' AS code, now() AS changed_at, 1 AS seq, variable_value AS note "
    query += "FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'"
    pull = town.pull(town.source(foreign_mariadb, tls="verify"), query=query)
    unknown = town.run(pull)
    assert unknown.error is not None and unknown.error["key"] == "pulls.tls", unknown.error
    known = ground.settings.with_(pull_ca=foreign_mariadb.folder / "cert.pem")
    trusting = Town(Ground(ground.db, ground.lake, ground.files, known))
    assert trusting.run(pull).error is None
    assert town.rows()["a"]["note"], "it is encrypted by some cipher"


def test_a_server_without_encryption_is_not_asked_where_encryption_is_wanted(
    town: Town, foreign_postgres: Foreign
) -> None:
    run = town.run(town.pull(town.source(foreign_postgres, tls="require")))
    assert run.error is not None and run.error["key"] == "pulls.tls", run.error


@pytest.mark.parametrize(("kind", "package"), [("sqlserver", "python-tds"), ("oracle", "oracledb")])
def test_a_driver_that_is_missing_is_one_clear_sentence(
    town: Town, foreign_postgres: Foreign, kind: str, package: str
) -> None:
    if importlib.util.find_spec("pytds" if kind == "sqlserver" else "oracledb"):
        pytest.skip(f"{package} is installed here")
    run = town.run(town.pull(town.source(foreign_postgres, kind=kind)))
    assert run.error is not None and run.error["key"] == "pulls.no_driver"
    assert package in t("pulls.no_driver", "vi", **run.error["params"])
    assert "requirements/databases.txt" in t("pulls.no_driver", "en", **run.error["params"])


def test_a_password_lies_in_a_file_of_the_home_or_a_variable_and_nowhere_else(
    town: Town, foreign_postgres: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = town.source(foreign_postgres)
    kept = [path for path in town.ground.home.secrets.iterdir() if path.read_text() == PASSWORD]
    assert [oct(path.stat().st_mode & 0o777) for path in kept] == ["0o600"]
    assert not _one(town, f"SELECT count(*) FROM event WHERE payload::text LIKE '%{PASSWORD}%'")
    with town.db.transaction() as conn, pytest.raises(Invalid):
        # A variable of any other name could be another secret, sent to a server of one's own.
        service.add_source(conn, SYSTEM, _fields(foreign_postgres, "DOTHI_DATABASE_URL"))
    with town.db.transaction() as conn:
        service.add_source(conn, SYSTEM, _fields(foreign_postgres, "DOTHI_PULL_PASSWORD_X"))
    query = "SELECT 'v' AS code, now() AS changed_at, 1 AS seq"
    pull = town.pull("bien", query=query)
    missing = town.run(pull)
    assert missing.error is not None and missing.error["key"] == "pulls.no_variable"
    monkeypatch.setenv("DOTHI_PULL_PASSWORD_X", PASSWORD)
    assert town.run(pull).error is None
    assert source != "bien"


def _fields(foreign: Foreign, variable: str) -> dict[str, str]:
    return {
        "name": "bien", "kind": foreign.kind, "host": "127.0.0.1", "port": str(foreign.port),
        "database": foreign.database, "account": READER, "tls": "off", "agency": "so-tt",
        "password_env": variable,
    }  # fmt: skip


def test_the_first_rows_are_tried_with_their_faults_and_nothing_is_stored(
    town: Town, foreign_postgres: Foreign
) -> None:
    foreign = _emptied(foreign_postgres)
    _fill(foreign, 1, 50)
    foreign.do("UPDATE hoso SET fee = -1 WHERE seq = 2")
    pull = town.pull(town.source(foreign))
    with town.db.transaction() as conn:
        found = service.pull(conn, SYSTEM, pull.name)
    tried = service.try_it(town.ground, *found)
    assert tried.names == ("code", "fee", "note", "changed_at", "seq")
    assert (len(tried.rows), tried.kept) == (20, 19)
    assert [(r.row_no, r.column, r.value) for r in tried.faults] == [(2, "fee", "-1.00")]
    assert town.rows() == {} and town.now(pull).reached is None
