"""Sources and pulls as people manage them: who may, what is checked, what is written down."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from tempfile import TemporaryDirectory

from dothi.identity import audit
from dothi.identity.agencies import agency_id
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.time import utc_now
from dothi.lake import registry
from dothi.lake.judging import judge
from dothi.lake.model import Reject
from dothi.lake.registry import Dataset
from dothi.net.databases import is_host
from dothi.net.foreign.asking import ask
from dothi.net.foreign.model import KINDS, MARK_TYPES, MOST_ROW, PORTS, TLS, Ask, Failed
from dothi.pulls import passwords, store
from dothi.pulls.model import ENVIRONMENT_NAME, NAME, Pull, Source, query_fault, start_of
from dothi.pulls.running import Ground, place_of
from dothi.store.database import Connection
from dothi.store.home import Home

TRIED_ROWS = 20
TRIED_S = 20
MOST_CELL = 200
LONGEST_WORD = 200
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Tried:
    """The first rows of a pull: as they come, and what the dataset's contract says of them."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    faults: tuple[Reject, ...]
    """What is wrong with single values."""
    refused: Fault | None
    """Why none of them could be read at all."""
    kept: int


def visible_sources(conn: Connection, actor: Actor) -> list[Source]:
    """The sources that the actor may manage."""
    return [s for s in store.sources(conn) if decide(actor, "pull.manage", s.resource).allowed]


def visible_pulls(conn: Connection, actor: Actor) -> list[tuple[Pull, Source, Dataset]]:
    """The pulls that the actor may manage, with where they read and what they keep up."""
    known = {source.id: source for source in visible_sources(conn, actor)}
    return [
        (pull, known[pull.source_id], registry.get(conn, pull.dataset_id))
        for pull in store.pulls(conn)
        if pull.source_id in known
    ]


def source(conn: Connection, actor: Actor, name: str) -> Source:
    """A source that the actor may manage. Raises NotFound."""
    found = store.source(conn, name)
    if not decide(actor, "pull.manage", found.resource).allowed:
        raise NotFound("pulls.no_source", name=name)
    return found


def pull(conn: Connection, actor: Actor, name: str) -> tuple[Pull, Source, Dataset]:
    """A pull that the actor may manage. Raises NotFound."""
    found = store.pull(conn, name)
    place = store.source_of(conn, found)
    if not decide(actor, "pull.manage", place.resource).allowed:
        raise NotFound("pulls.no_pull", name=name)
    return found, place, registry.get(conn, found.dataset_id)


def add_source(conn: Connection, actor: Actor, sent: Mapping[str, str]) -> Source:
    """A new source from what was written: name, kind, host, port, database, account, tls, agency,
    and `password_env` where the password is in a variable.

    Raises Invalid with all faults, Forbidden for another agency's, Conflict for a taken name.
    """
    belongs = agency_id(conn, sent.get("agency", ""))
    # Without an agency the form comes back; whose it would be is asked when it is known.
    owner = actor.agency_id if belongs is None else belongs
    require(actor, "pull.manage", Resource("pull", owner_agency=owner))
    faults: list[Fault] = []
    if belongs is None:
        faults.append(Fault("agency", "pulls.want_agency"))
    values = {name: sent.get(name, "").strip() for name in ("name", "host", "database", "account")}
    if not NAME.fullmatch(values["name"]):
        faults.append(Fault("name", "pulls.bad_name"))
    if not is_host(values["host"]):
        faults.append(Fault("host", "pulls.bad_host"))
    faults += [
        Fault(word, "pulls.want_text")
        for word in ("database", "account")
        if not (_PLAIN.fullmatch(values[word]) and len(values[word]) <= LONGEST_WORD)
    ]
    for word, choices in (("kind", KINDS), ("tls", TLS)):
        values[word] = sent.get(word, "")
        if values[word] not in choices:
            faults.append(Fault(word, "pulls.want_choice", {"choices": ", ".join(choices)}))
    port = sent.get("port", "").strip() or str(PORTS.get(values["kind"], 0))
    number = _whole(port, 1, 65_535)
    if number is None:
        faults.append(Fault("port", "pulls.bad_port"))
    variable = sent.get("password_env", "").strip() or None
    if variable is not None and not ENVIRONMENT_NAME.fullmatch(variable):
        faults.append(Fault("password_env", "pulls.bad_variable"))
    if faults:
        raise Invalid("pulls.form_invalid", faults=faults)
    made = store.add_source(
        conn,
        {**values, "port": number, "password_env": variable, "agency_id": belongs,
         "created_by": actor.ref},
    )  # fmt: skip
    audit.record(
        conn, "pull_source_added", actor, f"pull_source:{made.name}", kind=made.kind,
        host=made.host, port=made.port, database=made.database, account=made.account, tls=made.tls,
    )  # fmt: skip
    return made


def set_password(conn: Connection, home: Home, actor: Actor, name: str, password: str) -> None:
    """Keep a source's password; it is never shown again."""
    found = source(conn, actor, name)
    passwords.keep(home, found, password)
    audit.record(conn, "pull_source_login_set", actor, f"pull_source:{name}")


def add_pull(conn: Connection, actor: Actor, sent: Mapping[str, str]) -> Pull:
    """A new pull from what was written: name, source, dataset, query, mark, mark_type, overlap,
    every_min or daily_at, batch_rows. It runs for the first time at once.

    Raises Invalid with all faults, Conflict for a taken name.
    """
    faults: list[Fault] = []
    place, dataset = None, None
    with suppress(NotFound):
        place = source(conn, actor, sent.get("source", ""))
    with suppress(NotFound):
        dataset = registry.find(conn, sent.get("dataset", ""))
        if not decide(actor, "dataset.load", dataset.resource).allowed:
            dataset = None
    if place is None:
        faults.append(Fault("source", "pulls.want_source"))
    if dataset is None:
        faults.append(Fault("dataset", "pulls.want_dataset"))
    name, query = sent.get("name", "").strip(), sent.get("query", "").strip().rstrip(";").strip()
    if not NAME.fullmatch(name):
        faults.append(Fault("name", "pulls.bad_name"))
    if key := query_fault(query):
        faults.append(Fault("query", key))
    mark, mark_type = sent.get("mark", "").strip() or None, sent.get("mark_type", "") or None
    if mark is None:
        mark_type = None
    elif mark_type not in MARK_TYPES or not _PLAIN.fullmatch(mark) or len(mark) > LONGEST_WORD:
        choices = {"choices": ", ".join(MARK_TYPES)}
        faults.append(Fault("mark_type", "pulls.want_choice", choices))
    if mark is not None and dataset is not None and dataset.contract.snapshot:
        faults.append(Fault("mark", "pulls.snapshot_with_mark"))
    numbers = {
        word: _whole(sent.get(word, "").strip() or default, low, high)
        for word, default, low, high in (
            ("overlap", "0", 0, 10**9), ("batch_rows", "20000", 100, 1_000_000),
        )
    }  # fmt: skip
    faults += [Fault(word, "pulls.bad_number") for word, n in numbers.items() if n is None]
    every, daily = _schedule(sent, faults)
    if faults:
        raise Invalid("pulls.form_invalid", faults=faults)
    assert place is not None and dataset is not None
    made = store.add_pull(
        conn,
        {"name": name, "source_id": place.id, "dataset_id": dataset.id, "query": query,
         "mark": mark, "mark_type": mark_type, **numbers, "every_min": every, "daily_at": daily,
         "created_by": actor.ref, "enabled": False},
    )  # fmt: skip
    audit.record(
        conn, "pull_added", actor, f"pull:{name}", source=place.name, dataset=dataset.name,
        query=query, mark=mark,
    )  # fmt: skip
    return made


def switch(conn: Connection, actor: Actor, name: str, *, on: bool) -> None:
    """Let a pull run by its schedule, beginning now, or not any more."""
    found, _, _ = pull(conn, actor, name)
    store.change(conn, found.id, enabled=on, due_at=utc_now() if on else None, failures=0)
    if on:
        audit.record(conn, "pull_on", actor, f"pull:{name}")
    else:
        audit.record(conn, "pull_off", actor, f"pull:{name}")


def run_soon(conn: Connection, actor: Actor, name: str) -> None:
    """Ask the worker to run a pull now. Raises Conflict for one that is off."""
    found, _, _ = pull(conn, actor, name)
    if not found.enabled:
        raise Conflict("pulls.is_off", name=name)
    store.change(conn, found.id, due_at=utc_now(), asked_by=actor.ref)


def read_again(conn: Connection, actor: Actor, name: str) -> None:
    """Forget the watermark: the next run reads from the beginning. What is stored stays; rows that
    come again replace themselves."""
    found, _, _ = pull(conn, actor, name)
    store.change(conn, found.id, reached=None, pending=None, last_content=None, last_load=None)
    audit.record(conn, "pull_reset", actor, f"pull:{name}", reached=found.reached)


def try_it(ground: Ground, one: Pull, place: Source, dataset: Dataset) -> Tried:
    """The first rows of a pull, from where its next run begins, judged by the contract; nothing is
    stored. Raises Invalid with what the source said, Conflict without a password."""
    ground.files.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="load-", dir=ground.files.folder) as folder:
        try:
            start = start_of(one)
        except ValueError:
            raise Invalid("pulls.bad_mark", value=one.reached, name=one.mark) from None
        what = Ask(
            place_of(ground.settings, place), one.query, folder, f"pull:{one.name}/0", one.mark,
            one.mark_type, start, None, most_rows=TRIED_ROWS, seconds=TRIED_S,
            statement_s=TRIED_S, count=False,
        )  # fmt: skip
        for event in ask(what):
            if isinstance(event, Failed):
                raise Invalid(event.key, **event.params)
        files = sorted(Path(folder).glob("*.csv"))
        if not files:
            return Tried((), (), (), None, 0)
        return _judged(dataset, files[0])


def _judged(dataset: Dataset, path: Path) -> Tried:
    csv.field_size_limit(MOST_ROW)
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = [tuple(cell[:MOST_CELL] for cell in row[:-1]) for row in csv.reader(file)]
    try:
        rejects = judge(dataset.contract, path)
    except Invalid as error:
        first = error.faults[0] if error.faults else Fault("", error.key, dict(error.params))
        return Tried(names, tuple(rows), (), first, 0)
    return Tried(
        names, tuple(rows), tuple(rejects), None, len(rows) - len({r.row_no for r in rejects})
    )


def _schedule(sent: Mapping[str, str], faults: list[Fault]) -> tuple[int | None, time | None]:
    """Every so many minutes, or daily at a time."""
    minutes, clock = sent.get("every_min", "").strip(), sent.get("daily_at", "").strip()
    if bool(minutes) == bool(clock):
        faults.append(Fault("every_min", "pulls.want_schedule"))
        return None, None
    if minutes:
        every = _whole(minutes, 1, 43_200)
        if every is None:
            faults.append(Fault("every_min", "pulls.bad_number"))
        return every, None
    try:
        return None, time.fromisoformat(clock).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError:
        faults.append(Fault("daily_at", "pulls.bad_time"))
        return None, None


def _whole(text: str, low: int, high: int) -> int | None:
    """A whole number within bounds; None for anything else."""
    whole = text.isascii() and text.isdecimal() and len(text) <= 12
    return int(text) if whole and low <= int(text) <= high else None
