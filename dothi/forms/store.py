"""All SQL of returns. Every statement runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from dothi.forms.model import Act, Approval, Difference, Evidence, Line, Return, State
from dothi.store.database import Connection

_RETURN = """SELECT id, party, period, agency_id, revision, state, version, lines, note, reason,
                    authors, changed_at, changed_by, submitted_at, dataset_id FROM form_return """


def find(
    conn: Connection, dataset_id: int, period: str, party: str, *, lock: bool = False
) -> Return | None:
    """The return of that place, if anything was ever typed."""
    row = conn.execute(
        _RETURN
        + "WHERE dataset_id = %s AND period = %s AND party = %s"
        + (" FOR UPDATE" if lock else ""),
        (dataset_id, period, party),
    ).fetchone()
    if row is None:
        return None
    return _return(row, _approvals(conn, [row[0]]))


def of_periods(
    conn: Connection, dataset_id: int, periods: Collection[str]
) -> dict[tuple[str, str], Return]:
    """A form's returns of periods, by period and party."""
    rows = conn.execute(
        _RETURN + "WHERE dataset_id = %s AND period = ANY (%s)", (dataset_id, list(periods))
    ).fetchall()
    approvals = _approvals(conn, [row[0] for row in rows])
    return {(row[2], row[1]): _return(row, approvals) for row in rows}


def waiting(conn: Connection, dataset_id: int) -> list[Return]:
    """A form's returns that wait for approval, the oldest first."""
    rows = conn.execute(
        _RETURN + "WHERE dataset_id = %s AND state = 'submitted' ORDER BY submitted_at, id",
        (dataset_id,),
    ).fetchall()
    approvals = _approvals(conn, [row[0] for row in rows])
    return [_return(row, approvals) for row in rows]


def _return(row: tuple[Any, ...], approvals: dict[int, list[Approval]]) -> Return:
    (id_, party, period, agency, revision, state, version, lines, note, reason, authors,
     changed_at, changed_by, submitted_at, _) = row  # fmt: skip
    return Return(
        party=party, period=period, agency_id=agency, id=id_, revision=revision,
        state=State(state), version=version, lines=_lines(lines), note=note, reason=reason,
        authors=tuple(authors), changed_at=changed_at, changed_by=changed_by,
        submitted_at=submitted_at, approvals=tuple(approvals.get(id_, ())),
    )  # fmt: skip


def _approvals(conn: Connection, ids: Sequence[int]) -> dict[int, list[Approval]]:
    out: dict[int, list[Approval]] = {}
    rows = conn.execute(
        """SELECT a.return_id, a.revision, a.load_id, a.lines, a.approved_at, a.approved_by,
                  l.state = 'committed'
           FROM form_approval a JOIN load l ON l.id = a.load_id
           WHERE a.return_id = ANY (%s) ORDER BY a.return_id, a.revision DESC""",
        (list(ids),),
    ).fetchall()
    for return_id, revision, load_id, lines, *rest in rows:
        one = Approval(revision, load_id, _lines(lines), *rest)
        out.setdefault(return_id, []).append(one)
    return out


def _lines(stored: list[dict[str, Any]]) -> tuple[Line, ...]:
    return tuple(Line(one["line"], one["cells"]) for one in stored)


def _stored(lines: Sequence[Line]) -> Jsonb:
    return Jsonb([{"line": one.key, "cells": one.cells} for one in lines])


def begin(
    conn: Connection, dataset_id: int, period: str, party: str, agency_id: int, actor: str,
    at: datetime,
) -> None:  # fmt: skip
    """Make an empty draft where nothing is yet, so that it can be locked."""
    conn.execute(
        """INSERT INTO form_return (dataset_id, period, party, agency_id, state, version,
               changed_at, changed_by) VALUES (%s, %s, %s, %s, 'draft', 0, %s, %s)
           ON CONFLICT (dataset_id, period, party) DO NOTHING""",
        (dataset_id, period, party, agency_id, at, actor),
    )


def write(conn: Connection, one: Return) -> None:
    """Store a return as it is now; its version goes up by one."""
    conn.execute(
        """UPDATE form_return SET revision = %s, state = %s, version = version + 1, lines = %s,
               note = %s, reason = %s, authors = %s, changed_at = %s, changed_by = %s,
               submitted_at = %s, agency_id = %s WHERE id = %s""",
        (
            one.revision, one.state.value, _stored(one.lines), one.note, one.reason,
            list(one.authors), one.changed_at, one.changed_by, one.submitted_at, one.agency_id,
            one.id,
        ),
    )  # fmt: skip


def approve(
    conn: Connection, one: Return, load_id: int, evidence: Sequence[dict[str, Any]], actor: str,
    at: datetime,
) -> None:  # fmt: skip
    """Keep what was approved, with the load that holds it."""
    conn.execute(
        """INSERT INTO form_approval (return_id, revision, load_id, lines, evidence, approved_at,
               approved_by) VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (one.id, one.revision, load_id, _stored(one.lines), Jsonb(list(evidence)), at, actor),
    )


def act(
    conn: Connection, return_id: int, revision: int, at: datetime, actor: str, name: str, what: str,
    note: str = "", changes: dict[str, list[Any]] | None = None,
    lines: Sequence[Difference] = (),
) -> None:  # fmt: skip
    """Write an entry of the history; `lines`: what became of those of a table."""
    told = [{"line": one.key, "what": one.what, "columns": one.columns} for one in lines]
    conn.execute(
        """INSERT INTO form_act (return_id, revision, at, actor, actor_name, what, note, changes,
               lines) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (return_id, revision, at, actor, name, what, note, Jsonb(changes or {}), Jsonb(told)),
    )


def history(conn: Connection, return_id: int) -> list[Act]:
    """All that was done with a return, newest first."""
    rows = conn.execute(
        """SELECT at, actor, actor_name, what, revision, note, changes, lines FROM form_act
           WHERE return_id = %s ORDER BY id DESC""",
        (return_id,),
    ).fetchall()
    return [
        Act(
            at, actor, name, what, revision, note, changes,
            tuple(Difference(d["line"], d["what"], d["columns"]) for d in lines),
        )
        for at, actor, name, what, revision, note, changes, lines in rows
    ]  # fmt: skip


def evidence(conn: Connection, return_id: int) -> list[Evidence]:
    """The files attached now, in the order in which they came."""
    rows = conn.execute(
        """SELECT sha256, column_name, name, media, bytes, added_at, added_by FROM form_evidence
           WHERE return_id = %s AND removed_at IS NULL ORDER BY added_at, sha256""",
        (return_id,),
    ).fetchall()
    return [Evidence(bytes(row[0]), *row[1:]) for row in rows]


def find_evidence(conn: Connection, return_id: int, sha256: bytes) -> Evidence | None:
    """One file of a return, also one that was taken away again: what was approved rests on it."""
    row = conn.execute(
        """SELECT sha256, column_name, name, media, bytes, added_at, added_by FROM form_evidence
           WHERE return_id = %s AND sha256 = %s ORDER BY removed_at NULLS FIRST LIMIT 1""",
        (return_id, sha256),
    ).fetchone()
    return Evidence(bytes(row[0]), *row[1:]) if row else None


def attach(conn: Connection, return_id: int, one: Evidence) -> None:
    """Attach a file; one that was taken away is there again."""
    conn.execute(
        """INSERT INTO form_evidence (return_id, sha256, column_name, name, media, bytes, added_at,
               added_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (return_id, sha256, column_name)
           DO UPDATE SET removed_at = NULL, name = excluded.name""",
        (
            return_id, one.sha256, one.column, one.name, one.media, one.bytes, one.added_at,
            one.added_by,
        ),
    )  # fmt: skip


def detach(conn: Connection, return_id: int, sha256: bytes, column: str, at: datetime) -> bool:
    """Take a file away; whether it was there."""
    found = conn.execute(
        """UPDATE form_evidence SET removed_at = %s WHERE return_id = %s AND sha256 = %s
           AND column_name = %s AND removed_at IS NULL""",
        (at, return_id, sha256, column),
    )
    return found.rowcount > 0


def typed_by(conn: Connection, load_ids: Sequence[int]) -> dict[int, tuple[list[str], str]]:
    """Who typed and who approved the figures of those loads that came from returns."""
    rows = conn.execute(
        """SELECT id, report->'form'->'authors', report->'form'->>'approved_by' FROM load
           WHERE id = ANY (%s) AND door = 'form' AND report ? 'form'""",
        (list(load_ids),),
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def tell_late(conn: Connection, dataset_id: int, period: str, party: str, at: datetime) -> bool:
    """Note that a return is late; False where that was told before."""
    found = conn.execute(
        """INSERT INTO form_late (dataset_id, period, party, told_at) VALUES (%s, %s, %s, %s)
           ON CONFLICT DO NOTHING""",
        (dataset_id, period, party, at),
    )
    return found.rowcount > 0
