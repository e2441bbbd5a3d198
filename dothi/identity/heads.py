"""Seals of the audit chain kept outside the database, and the check of chain against seals.

Each minute the worker appends the chain's head to a file (`append`): a line of JSON with time,
seq and hash of the last entry, and a MAC (HMAC-SHA256 under the home's key) over these and the MAC
of the line before. A chain that was cut, or rewritten as a whole, no longer meets its seals.

The MAC is over the JSON array `[prev_mac, at, seq, hash]`, written as in `audit`; the first
line's `prev_mac` is the empty string.
"""

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Literal

from dothi.identity.audit import GENESIS, Entry, head, stream
from dothi.kernel.errors import Damaged
from dothi.store.database import Connection
from dothi.store.home import Home

MOST_FLAWS = 20
_LINE_BYTES = 512

FlawKind = Literal["content", "link", "missing", "cut", "seal", "heads"]


@dataclass(frozen=True, slots=True)
class Head:
    """One seal. `line` is its place in the file, from 1."""

    at: str
    seq: int
    hash: str
    mac: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong. `seq` is the first entry no longer proven; all before it are whole.

    `until` ends the stretch in which the change lies, `line` is the place in the file of seals.
    """

    kind: FlawKind
    seq: int
    until: int = 0
    line: int = 0

    @property
    def key(self) -> str:
        return f"identity.audit.flaw_{self.kind}"

    @property
    def params(self) -> dict[str, object]:
        return {"seq": self.seq, "until": self.until, "line": self.line}


@dataclass(slots=True)
class Report:
    """What a check found. `signed` says whether the seals' MACs were checked too."""

    entries: int = 0
    last_seq: int = 0
    last_hash: str = GENESIS
    heads: int = 0
    last_head: Head | None = None
    signed: bool = False
    flaws: list[Flaw] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.flaws

    @property
    def first_bad(self) -> int | None:
        """The first entry that is not proven whole."""
        return min((flaw.seq for flaw in self.flaws), default=None)


HEADS_KEY = "audit_heads"
"""The home's secret that the seals' MACs are made with."""


def heads_file(home: Path) -> Path:
    """Where the worker keeps the seals of the audit chain."""
    return home / "audit" / "heads.log"


def kept(home: Home) -> tuple[Path | None, bytes | None]:
    """A home's file of seals and the key of their MACs, as far as they are there."""
    file = heads_file(home.path)
    key = home.secret(HEADS_KEY).encode() if (home.secrets / HEADS_KEY).exists() else None
    return (file if file.is_file() else None), key


def append(conn: Connection, file: Path, key: bytes, now: datetime | None = None) -> Head | None:
    """Seal the chain's present head if it moved since the last seal; durable when this returns.

    Raises Damaged when the chain does not continue the last seal: then nothing is written, so
    that the evidence stays. `conn` is a READ COMMITTED transaction.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(_open(file)) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        last = _last_line(handle, file)
        seq, this = head(conn)
        if last is not None:
            _check_continues(conn, last, seq)
        if seq == (last.seq if last else 0):
            return None
        at = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mac = _mac(key, last.mac if last else "", at, seq, this)
        line = json.dumps({"at": at, "seq": seq, "hash": this, "mac": mac}) + "\n"
        os.write(handle.fileno(), line.encode("ascii"))
        os.fsync(handle.fileno())
    return Head(at, seq, this, mac)


def verify(conn: Connection, file: Path | None = None, key: bytes | None = None) -> Report:
    """Check every entry against the chain and, given the file of seals, against these.

    Runs in bounded memory. `conn` is a snapshot that nothing was read from yet: so it is younger
    than the seals compared. FileNotFoundError if the file is not there.
    """
    report = Report(signed=file is not None and key is not None)
    if file is None:
        _check(stream(conn), iter(()), report)
    else:
        with file.open("rb") as lines:
            # Seals that are added from here on may be of entries the snapshot does not hold.
            known = _up_to(lines, file.stat().st_size)
            _check(stream(conn), _read(known, key, report), report)
    return report


def _check(chain: Iterable[Entry], heads: Iterator[Head], report: Report) -> None:
    waiting = next(heads, None)
    prev: str | None = GENESIS  # None: what came before is missing, so nothing to join
    proven = 0
    for entry in chain:
        if entry.seq != report.last_seq + 1:
            _note(report, Flaw("missing", report.last_seq + 1, until=entry.seq - 1))
            prev = None
        if entry.hash != entry.expected_hash():
            _note(report, Flaw("content", entry.seq))
        elif prev is not None and entry.prev_hash != prev:
            _note(report, Flaw("link", max(entry.seq - 1, 1)))
        report.entries += 1
        report.last_seq, report.last_hash, prev = entry.seq, entry.hash, entry.hash
        while waiting is not None and waiting.seq <= entry.seq:
            if waiting.seq == entry.seq and waiting.hash == entry.hash:
                proven = entry.seq
            else:
                _note(report, Flaw("seal", proven + 1, until=waiting.seq))
            waiting = next(heads, None)
    while waiting is not None:
        _note(report, Flaw("cut", report.last_seq + 1, until=waiting.seq))
        waiting = next(heads, None)


def _read(lines: Iterable[bytes], key: bytes | None, report: Report) -> Iterator[Head]:
    """The seals in order. A line that is not one, or not where it belongs, is noted and skipped."""
    mac, seq = "", 0
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return  # torn by a crash while it was written; the next append takes it away
        found = _parse(line, number)
        if found is None or found.seq <= seq:
            _note(report, Flaw("heads", seq + 1, line=number))
            continue
        if key is not None:
            expected = _mac(key, mac, found.at, found.seq, found.hash)
            if not hmac.compare_digest(expected, found.mac):
                _note(report, Flaw("heads", seq + 1, line=number))
        mac, seq = found.mac, found.seq
        report.heads += 1
        report.last_head = found
        yield found


def _up_to(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    for line in lines:
        size -= len(line)
        if size < 0:
            return
        yield line


def _note(report: Report, flaw: Flaw) -> None:
    # Each kind keeps its first, so that one long tear does not hide another sort of damage.
    same = sum(known.kind == flaw.kind for known in report.flaws)
    if same < MOST_FLAWS:
        report.flaws.append(flaw)


def _check_continues(conn: Connection, last: Head, seq: int) -> None:
    if seq < last.seq:
        raise Damaged("identity.audit.flaw_cut", seq=seq + 1, until=last.seq)
    row = conn.execute(
        "SELECT encode(hash, 'hex') FROM audit_entry WHERE seq = %s", (last.seq,)
    ).fetchone()
    if row is None or row[0] != last.hash:
        raise Damaged("identity.audit.flaw_seal", seq=1, until=last.seq)


def _open(file: Path) -> FileIO:
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return FileIO(handle, "r+")


def _last_line(handle: FileIO, file: Path) -> Head | None:
    """The last whole line; what a crash left after it is cut off. Damaged if it is no seal."""
    size = handle.seek(0, os.SEEK_END)
    start = max(0, size - 2 * _LINE_BYTES)
    handle.seek(start)
    tail = handle.read()
    whole = tail.rfind(b"\n") + 1
    if whole != len(tail):
        handle.truncate(start + whole)
    if whole == 0:
        return None
    line = tail[:whole].splitlines()[-1] + b"\n"
    found = _parse(line, 0)
    if found is None:
        raise Damaged("identity.audit.heads_unreadable", file=file)
    return found


def _parse(line: bytes, number: int) -> Head | None:
    try:
        value = json.loads(line)
        found = Head(value["at"], value["seq"], value["hash"], value["mac"], number)
    except (ValueError, KeyError, TypeError):
        return None
    texts = (found.at, found.hash, found.mac)
    fine = type(found.seq) is int and all(isinstance(text, str) for text in texts)
    return found if fine else None


def _mac(key: bytes, prev: str, at: str, seq: int, this: str) -> str:
    text = json.dumps([prev, at, seq, this], ensure_ascii=True, separators=(",", ":"))
    return hmac.new(key, text.encode("ascii"), hashlib.sha256).hexdigest()
