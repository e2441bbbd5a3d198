"""The audit trail: sealed once, and no change to it goes unnoticed."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from dothi.identity import audit, heads
from dothi.identity.audit import GENESIS, Entry
from dothi.identity.heads import Flaw, FlawKind, Report
from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Damaged
from dothi.kernel.i18n import LANGS, t
from dothi.store.database import Connection, Database
from dothi.store.events import emit

KEY = b"only for tests"
TOOL = Path(__file__).parents[3] / "docs" / "audit_verify.py"
ENTRIES = 12


@pytest.fixture
def seals(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "heads.log"


@pytest.fixture
def trail(db: Database, seals: Path) -> Database:
    """Twelve entries, sealed outside after the fourth, the eighth and the last."""
    for number in range(1, ENTRIES + 1):
        act(db, number)
        if number % 4 == 0:
            audit.seal(db)
            seal_head(db, seals)
    return db


def act(db: Database, number: int) -> None:
    with db.transaction() as conn:
        audit.record(
            conn, "test", SYSTEM, f"thing:{number}", note=f'“{number}” \\ "Đ" \U0001f409', n=1.50
        )


def seal_head(db: Database, seals: Path) -> heads.Head | None:
    with db.transaction() as conn:
        return heads.append(conn, seals, KEY)


def verify(db: Database, seals: Path | None = None, key: bytes | None = KEY) -> Report:
    with db.snapshot() as conn:
        return heads.verify(conn, seals, key)


@contextmanager
def forger(db: Database) -> Iterator[Connection]:
    """Somebody with all rights on the database and no scruples."""
    with db.transaction() as conn:
        conn.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
        yield conn
        conn.execute("ALTER TABLE audit_entry ENABLE TRIGGER ALL")


def rewrite(conn: Connection, first: int, last: int = ENTRIES, **changes: str) -> None:
    """Change entry `first` and make hashes and links of the entries up to `last` right again."""
    chain = list(audit.stream(conn))
    prev = chain[first - 2].hash if first > 1 else GENESIS
    for entry in chain[first - 1 : last]:
        forged = replace(entry, prev_hash=prev)
        if entry.seq == first:
            forged = replace(forged, **changes)
        prev = forged.expected_hash()
        conn.execute(
            "UPDATE audit_entry SET actor = %s, subject = %s, detail = %s::json, "
            "prev_hash = decode(%s, 'hex'), hash = decode(%s, 'hex') WHERE seq = %s",
            (forged.actor, forged.subject, forged.detail, forged.prev_hash, prev, forged.seq),
        )


# -- sealing -------------------------------------------------------------------------------------


def test_acts_are_sealed_in_order_and_the_trail_is_whole(trail: Database, seals: Path) -> None:
    report = verify(trail, seals)
    assert (report.sound, report.signed, report.entries, report.heads) == (True, True, ENTRIES, 3)
    with trail.snapshot() as conn:
        chain = list(audit.stream(conn))
        newest = audit.entries(conn, subject="thing:3")
        assert audit.head(conn) == (ENTRIES, chain[-1].hash)
    assert [entry.subject for entry in chain] == [f"thing:{n}" for n in range(1, ENTRIES + 1)]
    assert [entry.seq for entry in newest] == [3]
    assert json.loads(newest[0].detail) == {"note": '“3” \\ "Đ" \U0001f409', "n": 1.5}
    assert (newest[0].actor, newest[0].action) == ("system", "test")


def test_the_newest_entries_are_read_page_by_page(trail: Database) -> None:
    with trail.snapshot() as conn:
        first = audit.entries(conn, limit=5)
        second = audit.entries(conn, limit=5, after=first[-1].seq)
    assert [entry.seq for entry in first + second] == list(range(12, 2, -1))


def test_an_act_whose_transaction_failed_was_not_done(db: Database) -> None:
    with pytest.raises(RuntimeError), db.transaction() as conn:
        audit.record(conn, "test", SYSTEM)
        raise RuntimeError
    assert audit.seal(db) == 0
    assert verify(db).sound


def test_other_events_are_not_sealed(db: Database) -> None:
    with db.transaction() as conn:
        emit(conn, "lake.committed", {"rows": 1})
        emit(conn, "auditor.sneezed", {})
    assert audit.seal(db) == 0


def test_workers_that_seal_at_once_seal_each_act_once(db: Database) -> None:
    def write() -> None:
        for number in range(60):
            act(db, number)

    def seal() -> None:
        for _ in range(40):
            audit.seal(db)

    threads = [threading.Thread(target=job) for job in (write, write, seal, seal)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit.seal(db)
    with db.snapshot() as conn:
        (events,) = conn.execute("SELECT count(*) FROM event").fetchone() or (0,)
    report = verify(db)
    assert (report.sound, report.entries, events) == (True, 120, 120)


@pytest.mark.parametrize(
    "payload", [{"n": 10**400}, {"x": 1e308}, {"deep": [{"a": None}] * 50}, {}]
)
def test_any_event_can_be_sealed(db: Database, payload: dict[str, object]) -> None:
    with db.transaction() as conn:
        emit(conn, "audit.odd", payload)
    assert audit.seal(db) == 1
    assert verify(db).sound


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET actor = 'x' WHERE seq = 1",
        "DELETE FROM audit_entry WHERE seq = 12",
        "TRUNCATE audit_entry",
    ],
)
def test_the_database_itself_refuses_changes(trail: Database, statement: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException), trail.transaction() as conn:
        conn.execute(statement)  # type: ignore[arg-type]


# -- finding changes -----------------------------------------------------------------------------


@pytest.mark.parametrize("seq", [1, 6, ENTRIES])
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("event_id = event_id + 1000", "content"),
        ("at = at + interval '1 microsecond'", "content"),
        ("actor = 'account:1'", "content"),
        ("actor = NULL", "content"),
        ("action = action || ' '", "content"),
        ("subject = 'thing:99'", "content"),
        ("subject = NULL", "content"),
        ("detail = '{}'", "content"),
        ("detail = (detail::text || ' ')::json", "content"),
        ("prev_hash = set_byte(prev_hash, 31, get_byte(prev_hash, 31) # 1)", "content"),
        ("hash = set_byte(hash, 0, get_byte(hash, 0) # 128)", "content"),
    ],
)
def test_a_change_of_any_field_is_found_without_any_seal(
    trail: Database, seq: int, change: str, kind: FlawKind
) -> None:
    with forger(trail) as conn:
        conn.execute(f"UPDATE audit_entry SET {change} WHERE seq = %s", (seq,))  # type: ignore[arg-type]
    report = verify(trail)
    assert Flaw(kind, seq) in report.flaws
    assert report.first_bad == seq


FORGERIES: dict[str, tuple[Callable[[Connection], object], set[tuple[FlawKind, int]]]] = {
    "an entry deleted": (
        lambda c: c.execute("DELETE FROM audit_entry WHERE seq = 6"),
        {("missing", 6)},
    ),
    "the first entry deleted": (
        lambda c: c.execute("DELETE FROM audit_entry WHERE seq = 1"),
        {("missing", 1)},
    ),
    "several entries deleted": (
        lambda c: c.execute("DELETE FROM audit_entry WHERE seq BETWEEN 5 AND 9"),
        {("missing", 5)},
    ),
    "an entry deleted and the rest renumbered": (
        lambda c: c.execute(
            "DELETE FROM audit_entry WHERE seq = 6; "
            "UPDATE audit_entry SET seq = 100 + seq WHERE seq > 6; "
            "UPDATE audit_entry SET seq = seq - 101 WHERE seq > 100"
        ),
        {("content", 6)},
    ),
    "an entry moved to the end": (
        lambda c: c.execute("UPDATE audit_entry SET seq = 13 WHERE seq = 6"),
        {("missing", 6), ("content", 13)},
    ),
    "two entries swapped": (
        lambda c: c.execute(
            "UPDATE audit_entry SET seq = seq + 100 WHERE seq IN (4, 7); "
            "UPDATE audit_entry SET seq = CASE seq WHEN 104 THEN 7 ELSE 4 END WHERE seq > 100"
        ),
        {("content", 4), ("content", 7)},
    ),
    "an entry put in with a seq of its own": (
        lambda c: c.execute(
            "ALTER TABLE audit_entry DROP CONSTRAINT audit_entry_seq_check; INSERT INTO audit_entry "
            "SELECT 0, 999, at, actor, action, subject, detail, prev_hash, hash FROM audit_entry WHERE seq = 1"
        ),
        {("content", 0)},
    ),
    "an entry changed together with its hash": (
        lambda c: rewrite(c, 6, 6, actor="account:1"),
        {("link", 6)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_chain_is_found_without_any_seal(trail: Database, name: str) -> None:
    forge, expected = FORGERIES[name]
    with forger(trail) as conn:
        forge(conn)
    report = verify(trail)
    assert expected <= {(flaw.kind, flaw.seq) for flaw in report.flaws}
    assert report.first_bad == min(seq for _, seq in expected)


def test_a_cut_tail_shows_only_against_the_seals(trail: Database, seals: Path) -> None:
    with forger(trail) as conn:
        conn.execute("DELETE FROM audit_entry WHERE seq > 10")
    assert verify(trail).sound
    assert verify(trail, seals).flaws == [Flaw("cut", 11, until=12)]


def test_an_emptied_trail_shows_against_the_seals(trail: Database, seals: Path) -> None:
    with forger(trail) as conn:
        conn.execute("DELETE FROM audit_entry")
    report = verify(trail, seals)
    assert (report.first_bad, {flaw.kind for flaw in report.flaws}) == (1, {"cut"})


def test_a_wholly_rewritten_rest_shows_only_against_the_seals(trail: Database, seals: Path) -> None:
    with forger(trail) as conn:
        rewrite(conn, 6, actor="account:1")
    assert verify(trail).sound
    report = verify(trail, seals)
    # The seal after entry 4 still holds, the one after 8 does not.
    assert report.flaws[0] == Flaw("seal", 5, until=8)
    assert report.first_bad == 5


def test_entries_after_the_last_seal_are_checked_by_the_chain(trail: Database, seals: Path) -> None:
    act(trail, 13)
    audit.seal(trail)
    assert verify(trail, seals).sound
    with forger(trail) as conn:
        conn.execute("UPDATE audit_entry SET actor = NULL WHERE seq = 13")
    assert verify(trail, seals).first_bad == 13


# -- seals ---------------------------------------------------------------------------------------


def test_a_seal_is_written_only_when_something_happened(trail: Database, seals: Path) -> None:
    before = seals.read_bytes()
    assert seal_head(trail, seals) is None
    assert seals.read_bytes() == before
    act(trail, 13)
    audit.seal(trail)
    written = seal_head(trail, seals)
    assert written is not None
    assert written.seq == 13
    assert verify(trail, seals).heads == 4
    assert seals.stat().st_mode & 0o777 == 0o600


def test_a_seal_torn_by_a_crash_is_no_damage_and_is_written_again(
    trail: Database, seals: Path
) -> None:
    act(trail, 13)
    audit.seal(trail)
    whole = seals.read_bytes()
    seal_head(trail, seals)
    complete = seals.read_bytes()
    for size in range(len(whole), len(complete)):
        seals.write_bytes(complete[:size])
        assert verify(trail, seals).sound
    seal_head(trail, seals)
    assert verify(trail, seals).last_head == heads.Head(
        **json.loads(seals.read_bytes().splitlines()[-1]), line=4
    )


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[1], lines[0], lines[2]], 1),
        (lambda lines: [lines[0], lines[1].replace(b'"seq": 8', b'"seq": 9'), lines[2]], 2),
        (lambda lines: [lines[0], lines[1].replace(b'"at": "2', b'"at": "1'), lines[2]], 2),
        (lambda lines: [lines[0], b"x\n", lines[2]], 2),
        (lambda lines: [*lines, lines[0]], 4),
    ],
)
def test_seals_that_were_changed_are_found_with_the_key(
    trail: Database, seals: Path, damage: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    lines = seals.read_bytes().splitlines(keepends=True)
    seals.write_bytes(b"".join(damage(lines)))
    flaws = verify(trail, seals).flaws
    assert next(flaw.line for flaw in flaws if flaw.kind == "heads") == line
    assert not verify(trail, seals, b"another key").sound


def test_nothing_is_sealed_over_a_forged_trail(trail: Database, seals: Path) -> None:
    before = seals.read_bytes()
    with forger(trail) as conn:
        rewrite(conn, 6, actor="account:1")
    act(trail, 13)
    audit.seal(trail)
    with pytest.raises(Damaged):
        seal_head(trail, seals)
    with forger(trail) as conn:
        conn.execute("DELETE FROM audit_entry WHERE seq > 2")
    with pytest.raises(Damaged):
        seal_head(trail, seals)
    assert seals.read_bytes() == before


def test_unreadable_seals_are_left_as_evidence(trail: Database, seals: Path) -> None:
    seals.write_bytes(seals.read_bytes() + b"not a seal\n")
    before = seals.read_bytes()
    with pytest.raises(Damaged):
        seal_head(trail, seals)
    assert seals.read_bytes() == before


def test_entries_sealed_while_the_check_runs_are_no_damage(trail: Database, seals: Path) -> None:
    with trail.snapshot() as conn:
        conn.execute("SELECT 1")
        act(trail, 13)
        audit.seal(trail)
        report = Report()
        before = seals.stat().st_size
        seal_head(trail, seals)
        with seals.open("rb") as lines:
            known = heads._up_to(lines, before)
            heads._check(audit.stream(conn), heads._read(known, KEY, report), report)
    assert report.sound


def test_every_flaw_is_said_in_both_languages() -> None:
    for kind in ("content", "link", "missing", "cut", "seal", "heads"):
        flaw = Flaw(kind, 3, 7, 2)
        assert all(t(flaw.key, lang, **flaw.params) for lang in LANGS)


# -- outside the house ---------------------------------------------------------------------------


def tool(*args: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", TOOL, *map(str, args)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_an_export_is_checked_by_a_short_script_without_dothi(
    trail: Database, seals: Path, tmp_path: Path
) -> None:
    assert len(TOOL.read_text(encoding="utf-8").splitlines()) <= 100
    file, key = tmp_path / "trail.ndjson", tmp_path / "key"
    key.write_bytes(KEY)
    with trail.snapshot() as conn:
        assert audit.export(conn, file) == ENTRIES
    assert tool(file) == tool(file, "--heads", seals, "--key", key)
    code, said = tool(file)
    assert (code, said.splitlines()[-1]) == (0, "whole: every link holds")

    lines = file.read_text().splitlines(keepends=True)
    for name in Entry.__slots__:
        entry = json.loads(lines[5])
        entry[name] = 77 if isinstance(entry[name], int) else entry[name] + "0"
        file.write_text("".join([*lines[:5], json.dumps(entry) + "\n", *lines[6:]]))
        assert tool(file)[0] == 1, name
    forgeries = {
        6: [*lines[:5], *lines[6:]],
        1: lines[1:],
        4: [*lines[:3], lines[4], lines[3], *lines[5:]],
    }
    for first, forged in forgeries.items():
        file.write_text("".join(forged))
        assert f"CHANGED from entry {first} on" in tool(file)[1]
    file.write_text("".join(lines[:10]))
    assert tool(file)[0] == 0
    assert "CHANGED from entry 11 on" in tool(file, "--heads", seals)[1]
    file.write_text("".join(lines))
    key.write_bytes(b"another")
    assert tool(file, "--heads", seals, "--key", key)[0] == 1
    file.write_text("{")
    assert tool(file)[0] == 2
