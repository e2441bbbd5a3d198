"""What is done with returns: typing, submitting, approving, returning, correcting.

Each act is decided by the policy, checked against the version that the person saw, and written with
its line of history and its entry for the audit trail. Figures enter the store only here, when they
are approved, in the same transaction as the approval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from dothi.forms import evidence as files_of
from dothi.forms import figures, plan, rules, sheet, store, table
from dothi.forms.model import (
    EDITABLE,
    MOST_NOTE,
    PLAIN,
    Act,
    Cells,
    Evidence,
    Line,
    Phase,
    Place,
    Return,
    State,
    changes,
    plain,
    values,
)
from dothi.forms.table import Given
from dothi.identity import audit
from dothi.identity.model import Actor
from dothi.identity.policy import require
from dothi.kernel.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from dothi.kernel.text import nfc
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.lake import registry
from dothi.lake.checks import Check
from dothi.lake.files import FileStore
from dothi.lake.form_only import DOOR
from dothi.lake.model import Batch, Outcome, Source
from dothi.lake.rows import batch_of
from dothi.lake.service import Lake
from dothi.store.database import Connection, Database
from dothi.store.events import emit

MOST_NAMED = 10
"""Figures that a fault about several of them names."""


@dataclass(frozen=True)
class Upload:
    """A file that was sent as evidence: where it lies, its name, the column it is about ("": all)."""

    path: Path
    name: str
    column: str


@dataclass(frozen=True)
class Sheet:
    """All that a return's page shows. `elsewhere`: figures that other datasets hold, not typed, by
    line and column; `hidden`: columns whose source the person may not read; `earlier`: the period
    before; `differs`: figures, by line and column, of which the store holds another than was approved
    here; `broken`: the contract's rules that what is typed does not fulfil, with their lines."""

    place: Place
    found: Return
    may_enter: bool
    may_approve: bool
    typed_it: bool
    elsewhere: figures.Rows
    hidden: dict[str, str]
    earlier: figures.Rows
    differs: tuple[tuple[str, str], ...]
    broken: tuple[tuple[int, Check], ...]
    evidence: tuple[Evidence, ...]
    history: tuple[Act, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is typed, with what comes from elsewhere while it can still be typed. A table that
        nobody began, whose lines people add, has those of the period before, without figures."""
        if self.found.state not in EDITABLE:
            return self.found.lines
        held = self.found.lines
        asked = self.place.form.lines
        if asked is not None and asked.added and self.found.version == 0:
            held = tuple(Line(key, {}) for key in self.earlier)
        return table.merged(self.place, held, self.elsewhere)

    @property
    def cells(self) -> Cells:
        """The figures of a form that is no table."""
        return plain(self.lines)

    @property
    def jumps(self) -> dict[tuple[str, str], float]:
        """Figures, by line and column, that moved so far since the period before that this has to be
        explained."""
        return table.jumps(self.place, self.lines, self.earlier)


class Forms:
    """Returns of one process."""

    def __init__(self, db: Database, lake: Lake, files: FileStore) -> None:
        self.db = db
        self._lake = lake
        self._files = files

    # -- looking ----------------------------------------------------------------------------------

    def place(self, actor: Actor, name: str, period: str, party: str) -> Place:
        """One cell of the plan. Raises NotFound, also for who may not see it."""
        with self.db.transaction() as conn:
            place = plan.place_of(conn, name, period, party, _today())
        require(actor, "form.read", place.read_resource)
        return place

    def look(self, actor: Actor, name: str, period: str, party: str) -> Sheet:
        """A return with all that its page shows. Raises NotFound."""
        place = self.place(actor, name, period, party)
        with self.db.transaction() as conn:
            found = _find(conn, place)
            attached = store.evidence(conn, found.id)
            history = store.history(conn, found.id)
        elsewhere, hidden = figures.from_elsewhere(self._lake, place, actor)
        typing = found.version and found.state in EDITABLE
        held = table.merged(place, found.lines, elsewhere)
        return Sheet(
            place=place,
            found=found,
            may_enter=plan.may_enter(actor, place),
            may_approve=plan.may_approve(actor, place),
            typed_it=actor.ref in found.authors,
            elsewhere=elsewhere,
            hidden=hidden,
            earlier=self._earlier(place),
            differs=self._differs(place, found),
            broken=tuple(rules.broken(place, held)) if typing else (),
            evidence=tuple(attached),
            history=tuple(history),
        )

    def workbook(self, actor: Actor, name: str, period: str, party: str, lang: str) -> bytes:
        """The return's workbook to fill in."""
        found = self._to_fill(actor, name, period, party)
        return sheet.written(found.place, found.lines, lang)

    def csv(self, actor: Actor, name: str, period: str, party: str, lang: str) -> bytes:
        """The return as a CSV file to fill in."""
        found = self._to_fill(actor, name, period, party)
        return sheet.as_csv(found.place, found.lines, lang)

    def _to_fill(self, actor: Actor, name: str, period: str, party: str) -> Sheet:
        found = self.look(actor, name, period, party)
        require(actor, "form.enter", found.place.read_resource)
        return found

    def evidence(
        self, actor: Actor, name: str, period: str, party: str, sha256: str
    ) -> tuple[Path, Evidence]:
        """A file of a return. Raises NotFound."""
        place = self.place(actor, name, period, party)
        try:
            content = bytes.fromhex(sha256)
        except ValueError:
            raise NotFound("identity.not_found") from None
        with self.db.transaction() as conn:
            found = store.find_evidence(conn, _find(conn, place).id, content)
        if found is None or not (path := self._files.path(content)).exists():
            raise NotFound("identity.not_found")
        return path, found

    # -- typing -----------------------------------------------------------------------------------

    def save(
        self,
        actor: Actor,
        place: Place,
        given: Given,
        *,
        version: int,
        note: str = "",
        lang: str = "vi",
        uploads: Sequence[Upload] = (),
        drop: Sequence[tuple[bytes, str]] = (),
        workbook: Upload | None = None,
        submit: bool = False,
    ) -> Return:
        """Keep what was typed, whatever it is; with `submit` also hand it in.

        What was typed is kept even where handing in is refused. The lines of a table in a `workbook`
        (also a CSV file) take the place of those that were typed. Raises Conflict when somebody else
        changed the return since `version`, Invalid with all faults by column.
        """
        require(actor, "form.read", place.read_resource)
        require(actor, "form.enter", place.read_resource)
        note = _words(note)
        attached = [self._received(upload, place) for upload in uploads]
        held = table.lines(place, given, lang)
        if workbook is not None:
            filled = sheet.read(place, workbook.path, workbook.name, lang)
            is_table = place.form.lines is not None
            held = filled if is_table else (Line(PLAIN, plain(held) | plain(filled)),)
        elsewhere, _ = figures.from_elsewhere(self._lake, place, actor)
        now = utc_now()
        with self.db.transaction() as conn:
            store.begin(
                conn, place.dataset.id, place.period.code, place.party.code,
                place.party.agency_id, actor.ref, now,
            )  # fmt: skip
            before = self._locked(conn, place, version)
            if before.state not in EDITABLE:
                raise Conflict(f"forms.not_open_{before.state.value}")
            lines = table.merged(place, held, elsewhere)
            moved = _moved(place, before.lines, lines)
            touched = self._keep(conn, actor, before, attached, drop, now)
            after = replace(
                before, lines=lines, note=note, changed_at=now, changed_by=actor.ref,
                agency_id=place.party.agency_id,
            )  # fmt: skip
            same = before.lines == lines and note == before.note
            if touched or not same or before.version == 0:
                after = replace(after, authors=_with(after.authors, actor.ref))
                store.write(conn, after)
                after = replace(after, version=before.version + 1)
                store.act(
                    conn, before.id, before.revision, now, actor.ref, actor.name, "saved", **moved
                )
        return self._submit(actor, place, after, lang) if submit else after

    def _submit(self, actor: Actor, place: Place, found: Return, lang: str) -> Return:
        earlier = self._earlier(place)
        with self.db.transaction() as conn:
            attached = {one.column for one in store.evidence(conn, found.id)}
        faults = table.faults(place, found.lines)
        faults += [
            Fault(table.where(place, number, asked.name), "forms.evidence_needed")
            for asked in place.form.asked
            if asked.evidence and asked.name not in attached
            for number, line in enumerate(found.lines, 1)
            if "v" in line.cells.get(asked.name, {})
        ]
        if not faults:
            broken = rules.broken(place, found.lines)
            faults += [rules.fault(place, number, check, lang) for number, check in broken]
        if not found.note and (moved := table.jumps(place, found.lines, earlier)):
            names = "; ".join(table.named(place, *one, lang) for one in list(moved)[:MOST_NAMED])
            names += "; …" if len(moved) > MOST_NAMED else ""
            faults.append(Fault("note", "forms.jump_unexplained", {"names": names}))
        if faults:
            raise Invalid("forms.not_ready", faults=faults)
        now = utc_now()
        handed = replace(
            found, state=State.SUBMITTED, submitted_at=now, changed_at=now, changed_by=actor.ref,
            authors=_with(found.authors, actor.ref), reason=found.reason if found.revision > 1 else "",
        )  # fmt: skip
        if place.form.approval == "none":
            return self._into_store(actor, place, found, handed)
        with self.db.transaction() as conn:
            self._locked(conn, place, found.version)
            store.write(conn, handed)
            store.act(
                conn, found.id, found.revision, now, actor.ref, actor.name, "submitted", found.note
            )
            audit.record(conn, "form.submitted", actor, f"form:{place.subject}", **_told(found))
            _say_submitted(conn, actor, place)
        return replace(handed, version=found.version + 1)

    def recall(self, actor: Actor, place: Place, version: int) -> None:
        """Take a submitted return back to go on typing."""
        require(actor, "form.read", place.read_resource)
        require(actor, "form.enter", place.read_resource)
        self._move(actor, place, version, State.SUBMITTED, State.DRAFT, "recalled", "")

    # -- approving --------------------------------------------------------------------------------

    def approve(self, actor: Actor, place: Place, version: int, lang: str = "vi") -> Return:
        """Approve what somebody else typed: the figures stand in the store from then on, locked.

        Raises Forbidden for who typed any of it, Conflict where the return moved since `version` or
        a figure that comes from elsewhere is another one now.
        """
        self._may_approve(actor, place)
        with self.db.transaction() as conn:
            found = self._locked(conn, place, version)
        if found.state is not State.SUBMITTED:
            raise Conflict("forms.not_submitted")
        if actor.ref in found.authors:
            raise Forbidden("forms.own_figures")
        elsewhere, _ = figures.from_elsewhere(self._lake, place, None)
        bare = tuple(Line(line.key, {}) for line in found.lines)
        fresh = {line.key: line.cells for line in table.merged(place, bare, elsewhere)}
        for line in found.lines:
            now = fresh[line.key]
            for column, cell in line.cells.items():
                if "from" in cell and now.get(column, {}).get("v") != cell["v"]:
                    title = table.named(place, line.key, column, lang)
                    raise Conflict("forms.source_moved", title=title, dataset=cell["from"])
        return self._into_store(actor, place, found, found)

    def send_back(self, actor: Actor, place: Place, version: int, reason: str) -> None:
        """Return what was submitted, with a reason."""
        self._may_approve(actor, place)
        reason = _reason(reason)
        self._move(actor, place, version, State.SUBMITTED, State.RETURNED, "returned", reason)

    def _into_store(self, actor: Actor, place: Place, before: Return, handed: Return) -> Return:
        batch = self._batch(actor, place, handed)
        now = utc_now()
        after = replace(
            handed, state=State.APPROVED, changed_at=now, changed_by=actor.ref,
            version=before.version,
        )  # fmt: skip

        def together(conn: Connection, outcome: Outcome) -> None:
            self._locked(conn, place, before.version)
            proofs = [
                {"sha256": e.sha256.hex(), "name": e.name, "column": e.column}
                for e in store.evidence(conn, before.id)
            ]
            store.approve(conn, after, outcome.load_id, proofs, actor.ref, now)
            _name(conn, place, after.lines)
            store.write(conn, after)
            store.act(
                conn, before.id, before.revision, now, actor.ref, actor.name, "approved",
                changes={"load": [None, outcome.load_id]},
            )  # fmt: skip
            audit.record(
                conn, "form.approved", actor, f"form:{place.subject}", load=outcome.load_id,
                **_told(before),
            )  # fmt: skip
            if before.state is not State.SUBMITTED:
                _say_submitted(conn, actor, place)

        self._lake.commit_with(batch, together)
        return replace(after, version=before.version + 1)

    def _batch(self, actor: Actor, place: Place, handed: Return) -> Batch:
        source = Source(
            DOOR, actor=actor.ref, agency_id=place.party.agency_id, file_name=place.subject
        )
        batch = batch_of(self._lake, place.dataset, [place.row(x) for x in handed.lines], source)
        if batch.rejects:
            faults = [
                Fault(table.where(place, r.row_no, r.column), r.reason, r.params)
                for r in batch.rejects
            ]
            raise Invalid("forms.not_ready", faults=faults)
        gone = figures.rows_of(self._lake, place, place.dataset).keys()
        figures.withdraw(self._lake, place, batch, gone - {line.key for line in handed.lines})
        batch.report = {
            "rows": len(handed.lines),
            "form": {
                "period": place.period.code, "party": place.party.code,
                "revision": handed.revision, "authors": list(handed.authors),
                "approved_by": actor.ref,
            },
        }  # fmt: skip
        return batch

    # -- correcting -------------------------------------------------------------------------------

    def correct(self, actor: Actor, place: Place, version: int, reason: str) -> None:
        """Begin to correct what is approved and locked: a new revision, which counts when it is
        approved in its turn; until then the figures stay as they are."""
        require(actor, "form.read", place.read_resource)
        require(actor, "form.enter", place.read_resource)
        reason = _reason(reason)
        now = utc_now()
        with self.db.transaction() as conn:
            found = self._locked(conn, place, version)
            if found.state is not State.APPROVED:
                raise Conflict("forms.not_approved")
            store.write(
                conn,
                replace(
                    found, revision=_last(found) + 1, state=State.DRAFT, reason=reason, note="",
                    authors=(actor.ref,), changed_at=now, changed_by=actor.ref, submitted_at=None,
                ),
            )  # fmt: skip
            store.act(
                conn, found.id, _last(found) + 1, now, actor.ref, actor.name, "corrected", reason
            )
            audit.record(
                conn, "form.corrected", actor, f"form:{place.subject}", revision=_last(found) + 1,
                reason=reason,
            )  # fmt: skip

    def abandon(self, actor: Actor, place: Place, version: int) -> None:
        """Give up a correction: what was approved stays."""
        require(actor, "form.read", place.read_resource)
        require(actor, "form.enter", place.read_resource)
        now = utc_now()
        with self.db.transaction() as conn:
            found = self._locked(conn, place, version)
            if found.phase is not Phase.CORRECTING:
                raise Conflict("forms.not_correcting")
            last = found.approvals[0]
            store.write(
                conn,
                replace(
                    found, revision=last.revision, state=State.APPROVED, lines=last.lines,
                    reason="", note="", authors=(), changed_at=now, changed_by=actor.ref,
                ),
            )  # fmt: skip
            store.act(
                conn, found.id, found.revision, now, actor.ref, actor.name, "abandoned",
                **_moved(place, found.lines, last.lines),
            )  # fmt: skip

    # -- parts ------------------------------------------------------------------------------------

    def _may_approve(self, actor: Actor, place: Place) -> None:
        require(actor, "form.read", place.read_resource)
        require(actor, "form.approve", place.approve_resource)

    def _move(
        self, actor: Actor, place: Place, version: int, was: State, becomes: State, what: str,
        reason: str,
    ) -> None:  # fmt: skip
        now = utc_now()
        with self.db.transaction() as conn:
            found = self._locked(conn, place, version)
            if found.state is not was:
                raise Conflict("forms.not_submitted")
            store.write(
                conn,
                replace(
                    found, state=becomes, reason=reason or found.reason, changed_at=now,
                    changed_by=actor.ref,
                ),
            )  # fmt: skip
            store.act(conn, found.id, found.revision, now, actor.ref, actor.name, what, reason)
            if becomes is State.RETURNED:
                audit.record(
                    conn, "form.returned", actor, f"form:{place.subject}", reason=reason,
                    **_told(found),
                )  # fmt: skip

    def _locked(self, conn: Connection, place: Place, version: int) -> Return:
        """The return, ours until the transaction ends. Raises Conflict when it is not the one that
        the person saw."""
        found = store.find(
            conn, place.dataset.id, place.period.code, place.party.code, lock=True
        )  # fmt: skip
        if found is None or found.version != version:
            raise Conflict("forms.stale")
        return found

    def _received(self, upload: Upload, place: Place) -> Evidence:
        if upload.column and upload.column not in {a.name for a in place.form.asked}:
            raise Invalid("forms.evidence_refused", name=upload.name)
        media = files_of.media_of(upload.path, upload.name)
        content = files_of.digest(upload.path)
        self._files.keep(upload.path, content)
        return Evidence(
            content, upload.column, files_of.safe_name(nfc(upload.name), media), media,
            upload.path.stat().st_size, utc_now(), "",
        )  # fmt: skip

    def _keep(
        self, conn: Connection, actor: Actor, found: Return, attached: Sequence[Evidence],
        drop: Sequence[tuple[bytes, str]], now: datetime,
    ) -> bool:  # fmt: skip
        """Attach and take away evidence; whether anything changed."""
        there = len(store.evidence(conn, found.id))
        if there + len(attached) - len(drop) > files_of.MOST_FILES:
            raise Invalid("forms.too_many_files", most=files_of.MOST_FILES)
        for one in attached:
            store.attach(conn, found.id, replace(one, added_at=now, added_by=actor.ref))
            store.act(
                conn, found.id, found.revision, now, actor.ref, actor.name, "attached", one.name
            )
        gone = [store.detach(conn, found.id, content, column, now) for content, column in drop]
        if any(gone):
            store.act(conn, found.id, found.revision, now, actor.ref, actor.name, "detached")
        return bool(attached) or any(gone)

    def _earlier(self, place: Place) -> figures.Rows:
        before = place.period.previous()
        if before.start < place.form.since.start:
            return {}
        return figures.rows_of(self._lake, replace(place, period=before), place.dataset)

    def _differs(self, place: Place, found: Return) -> tuple[tuple[str, str], ...]:
        standing = found.standing
        if found.phase is not Phase.APPROVED or standing is None:
            return ()
        there = figures.rows_of(self._lake, place, place.dataset)
        held = {line.key: values(line.cells) for line in standing.lines}
        return tuple(
            (key, a.name)
            for key in dict.fromkeys((*held, *there))
            for a in place.form.asked
            if there.get(key, {}).get(a.name) != held.get(key, {}).get(a.name)
        )


def _find(conn: Connection, place: Place) -> Return:
    found = store.find(conn, place.dataset.id, place.period.code, place.party.code)
    return found or Return(place.party.code, place.period.code, place.party.agency_id)


def _moved(place: Place, before: Sequence[Line], after: Sequence[Line]) -> dict[str, Any]:
    """What an entry of the history tells: changes by column, of a table by line."""
    if place.form.lines is None:
        return {"changes": changes(plain(tuple(before)), plain(tuple(after)))}
    return {"lines": table.differences(before, after)}


def _name(conn: Connection, place: Place, lines: Sequence[Line]) -> None:
    """Say what the things of a series are called that a return is about, and whose they are."""
    if place.dataset.contract.kind != "series":
        return
    party = place.party
    for line in lines:
        title = party.title
        if place.form.lines is not None:
            title = {k: f"{v} – {place.line_title(line.key, k)}" for k, v in party.title.items()}
        registry.name_thing(conn, place.dataset, place.key(line.key), title, party.agency_id)


def _last(found: Return) -> int:
    return max((a.revision for a in found.approvals), default=found.revision)


def _say_submitted(conn: Connection, actor: Actor, place: Place) -> None:
    said = {
        "dataset": place.dataset.name, "period": place.period.code, "party": place.party.code,
        "agency": place.party.agency_id,
    }  # fmt: skip
    emit(conn, "form.submitted", said, actor=actor.ref, subject=f"form:{place.subject}")


def _told(found: Return) -> dict[str, Any]:
    return {"revision": found.revision, "authors": list(found.authors)}


def _with(authors: tuple[str, ...], ref: str) -> tuple[str, ...]:
    return authors if ref in authors else (*authors, ref)


def _words(text: str) -> str:
    text = nfc(text.strip())
    if len(text) > MOST_NOTE or any(c in text for c in "\0\ud800"):
        raise Invalid("forms.note_too_long", most=MOST_NOTE)
    return text


def _reason(text: str) -> str:
    text = _words(text)
    if not text:
        raise Invalid("forms.not_ready", faults=[Fault("reason", "forms.reason_needed")])
    return text


def _today() -> date:
    return local_date(utc_now(), VN)
