"""Datasets, the things they measure, and their streams: the rows behind names."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from dothi.identity.agencies import successors
from dothi.identity.policy import Resource, Sharing
from dothi.kernel.errors import Conflict, Invalid, NotFound
from dothi.lake.columns import parse_duration
from dothi.lake.contract import Contract, parse_contract
from dothi.lake.model import Quality
from dothi.store.database import Connection


@dataclass(frozen=True)
class Dataset:
    """A registered dataset: its contract and what policy needs to know of it."""

    id: int
    name: str
    contract: Contract
    owner_agency: int | None
    sharing: dict[str, Any]

    @property
    def resource(self) -> Resource:
        """What the policy judges."""
        return Resource(
            kind="dataset",
            id=self.name,
            owner_agency=self.owner_agency,
            sharing=Sharing(
                public=self.sharing["public"],
                agencies=frozenset(self.sharing.get("agency_ids", ())),
                hidden_columns=frozenset(self.sharing.get("hidden", ())),
                ground=self.sharing.get("ground") or "",
            ),
        )


@dataclass(frozen=True)
class Thing:
    """What is measured: a station, a machine, a gauge. `key` in the contract's order."""

    id: int
    key: tuple[str, ...]
    name: dict[str, str]
    lon: float | None
    lat: float | None
    agency_id: int | None
    properties: dict[str, Any]

    def title(self, lang: str) -> str:
        """Its name in a language, or its key."""
        return self.name.get(lang) or self.name.get("vi") or " ".join(self.key)


@dataclass(frozen=True)
class Stream:
    """One quantity of one thing over time."""

    id: int
    dataset_id: int
    thing_id: int
    parameter: str


def register(conn: Connection, contract: Contract) -> Dataset:
    """Make a dataset of a contract, or give an existing one its contract's newest text.

    Raises Conflict where the new contract would change what is stored: kind, key, or a parameter
    taken away.
    """
    row = conn.execute(
        "SELECT contract->>'source' FROM dataset WHERE name = %s FOR UPDATE", (contract.name,)
    ).fetchone()
    if row is not None:
        before = parse_contract(row[0], contract.name)
        if before.kind != contract.kind or [c.name for c in before.key] != [
            c.name for c in contract.key
        ]:
            raise Conflict("lake.contract_breaks_key", name=contract.name)
        gone = {p.name for p in before.parameters} - {p.name for p in contract.parameters}
        if gone:
            raise Conflict("lake.contract_drops", name=contract.name, gone=", ".join(sorted(gone)))
    codes = successors(conn, [contract.owner, *contract.sharing["agencies"]])
    sharing = contract.sharing | {
        "agency_ids": [codes[a] for a in contract.sharing["agencies"] if a in codes]
    }
    conn.execute(
        """INSERT INTO dataset (name, kind, contract, owner_agency, sharing)
           VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (name) DO UPDATE SET contract = excluded.contract,
               owner_agency = excluded.owner_agency, sharing = excluded.sharing""",
        (
            contract.name,
            contract.kind,
            Jsonb({"source": contract.source}),
            codes.get(contract.owner),
            Jsonb(sharing),
        ),
    )
    dataset = find(conn, contract.name)
    for thing in contract.things:
        put_thing(conn, dataset, **thing)
    return dataset


_contracts: dict[tuple[str, str], Contract] = {}
_contracts_lock = threading.Lock()


def _stored_contract(name: str, source: str) -> Contract:
    with _contracts_lock:
        contract = _contracts.get((name, source))
        if contract is None:
            contract = _contracts[(name, source)] = parse_contract(source, name)
            if len(_contracts) > 2000:
                _contracts.clear()
        return contract


# Of the owner's decisions that have begun the newest counts until its last day.
_DATASET = """SELECT id, name, contract->>'source', owner_agency, coalesce((
    SELECT CASE WHEN s.valid_to IS NULL OR s.valid_to >= s.today THEN s.sharing END
    FROM (SELECT *, (clock_timestamp() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date AS today
          FROM sharing_decision d WHERE d.dataset_id = dataset.id) s
    WHERE s.valid_from <= s.today ORDER BY s.id DESC LIMIT 1), sharing) FROM dataset """


def _dataset(row: tuple[Any, ...]) -> Dataset:
    return Dataset(row[0], row[1], _stored_contract(row[1], row[2]), row[3], row[4])


def find(conn: Connection, name: str) -> Dataset:
    """The dataset of that name. Raises NotFound."""
    row = conn.execute(_DATASET + "WHERE name = %s", (name,)).fetchone()
    if row is None:
        raise NotFound("lake.no_dataset", name=name)
    return _dataset(row)


def is_taken(conn: Connection, name: str) -> bool:
    """Whether there is a dataset of that name."""
    return conn.execute("SELECT FROM dataset WHERE name = %s", (name,)).fetchone() is not None


def forget_empty(conn: Connection, dataset: Dataset) -> bool:
    """Delete a dataset into which nothing was ever loaded; whether it was one."""
    gone = conn.execute(
        """DELETE FROM dataset d WHERE id = %s
           AND NOT EXISTS (SELECT FROM load WHERE dataset_id = d.id)""",
        (dataset.id,),
    )
    return gone.rowcount > 0


def get(conn: Connection, dataset_id: int) -> Dataset:
    """The dataset of that number. Raises NotFound."""
    row = conn.execute(_DATASET + "WHERE id = %s", (dataset_id,)).fetchone()
    if row is None:
        raise NotFound("lake.no_dataset", name=str(dataset_id))
    return _dataset(row)


def datasets(conn: Connection) -> list[Dataset]:
    """All datasets by name; the caller asks the policy which of them may be shown."""
    return [_dataset(row) for row in conn.execute(_DATASET + "ORDER BY name").fetchall()]


def put_thing(
    conn: Connection,
    dataset: Dataset,
    *,
    key: Sequence[str],
    name: dict[str, str] | None = None,
    lon: float | None = None,
    lat: float | None = None,
    agency_id: int | None = None,
    properties: dict[str, Any] | None = None,
) -> int:
    """Make a thing known, or bring its description up to date; its number."""
    row = conn.execute(
        """INSERT INTO thing (dataset_id, key, name, lon, lat, agency_id, properties)
           VALUES (%s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (dataset_id, key) DO UPDATE SET name = excluded.name,
               lon = excluded.lon, lat = excluded.lat, agency_id = excluded.agency_id,
               properties = excluded.properties
           RETURNING id""",
        (
            dataset.id,
            list(key),
            Jsonb(name or {}),
            lon,
            lat,
            agency_id if agency_id is not None else dataset.owner_agency,
            Jsonb(properties or {}),
        ),
    ).fetchone()
    assert row is not None
    return row[0]


def name_thing(
    conn: Connection, dataset: Dataset, key: Sequence[str], name: dict[str, str], agency_id: int
) -> None:
    """Say what a known thing is called and whose it is; where it stands is left as it is."""
    conn.execute(
        "UPDATE thing SET name = %s, agency_id = %s WHERE dataset_id = %s AND key = %s",
        (Jsonb(name), agency_id, dataset.id, list(key)),
    )


def things(conn: Connection, dataset: Dataset) -> dict[int, Thing]:
    """The things that a dataset's streams belong to, by number."""
    rows = conn.execute(
        """SELECT id, key, name, lon, lat, agency_id, properties FROM thing
           WHERE dataset_id = %(id)s
              OR id IN (SELECT thing_id FROM stream WHERE dataset_id = %(id)s) ORDER BY key""",
        {"id": dataset.id},
    ).fetchall()
    return {row[0]: Thing(row[0], tuple(row[1]), *row[2:]) for row in rows}


def streams(conn: Connection, dataset: Dataset) -> dict[int, Stream]:
    """A dataset's streams by number."""
    rows = conn.execute(
        "SELECT id, dataset_id, thing_id, parameter FROM stream WHERE dataset_id = %s ORDER BY id",
        (dataset.id,),
    ).fetchall()
    return {row[0]: Stream(*row) for row in rows}


def stream(conn: Connection, stream_id: int) -> Stream:
    """One stream. Raises NotFound."""
    row = conn.execute(
        "SELECT id, dataset_id, thing_id, parameter FROM stream WHERE id = %s", (stream_id,)
    ).fetchone()
    if row is None:
        raise no_stream(stream_id)
    return Stream(*row)


def no_stream(stream_id: int) -> NotFound:
    """The error for a stream that is not there, or that the actor may not know of."""
    return NotFound("lake.no_stream", id=stream_id)


def quality_word(code: int) -> str:
    """A quality as data files write it."""
    return Quality(code).name.lower() if code in set(Quality) else ""


StreamName = tuple[tuple[str, ...], str]
"""A thing's key and a parameter."""


def stream_ids(
    conn: Connection, dataset: Dataset, names: Iterable[StreamName]
) -> dict[StreamName, int]:
    """The numbers of streams, made where they are new, in the caller's transaction."""
    wanted = set(names)
    found = _known_streams(conn, dataset)
    missing = sorted(wanted - found.keys())
    if missing:
        keys = sorted({key for key, _ in missing})
        conn.cursor().executemany(
            """INSERT INTO thing (dataset_id, key, agency_id) VALUES (%s, %s, %s)
               ON CONFLICT DO NOTHING""",
            [(dataset.id, list(key), dataset.owner_agency) for key in keys],
        )
        conn.cursor().executemany(
            """INSERT INTO stream (dataset_id, thing_id, parameter)
               SELECT %s, id, %s FROM thing WHERE dataset_id = %s AND key = %s
               ON CONFLICT DO NOTHING""",
            [(dataset.id, parameter, dataset.id, list(key)) for key, parameter in missing],
        )
        _name_by_agency(conn, dataset)
        found = _known_streams(conn, dataset)
    return {name: found[name] for name in wanted}


def _name_by_agency(conn: Connection, dataset: Dataset) -> None:
    """Things whose key has the code of an agency are called by its name, once they have none."""
    units = dataset.contract.units
    if units is None or units.codes != "agencies":
        return
    at = [column.name for column in dataset.contract.key].index(units.column)
    conn.execute(
        """UPDATE thing SET name = jsonb_build_object(
               'vi', array_to_string(key[:%(at)s - 1] || a.name_vi || key[%(at)s + 1:], ' – '),
               'en', array_to_string(key[:%(at)s - 1] || a.name_en || key[%(at)s + 1:], ' – '))
           FROM agency a WHERE dataset_id = %(id)s AND name = '{}' AND a.code = key[%(at)s]""",
        {"id": dataset.id, "at": at + 1},
    )


def derived_streams(
    conn: Connection, dataset: Dataset, pairs: Iterable[tuple[int, str]]
) -> dict[tuple[int, str], int]:
    """Streams of a derived dataset on other datasets' things: (thing number, parameter) → number."""
    conn.cursor().executemany(
        """INSERT INTO stream (dataset_id, thing_id, parameter) VALUES (%s, %s, %s)
           ON CONFLICT DO NOTHING""",
        [(dataset.id, thing_id, parameter) for thing_id, parameter in sorted(set(pairs))],
    )
    return {(s.thing_id, s.parameter): s.id for s in streams(conn, dataset).values()}


def _known_streams(conn: Connection, dataset: Dataset) -> dict[StreamName, int]:
    rows = conn.execute(
        """SELECT t.key, s.parameter, s.id FROM stream s JOIN thing t ON t.id = s.thing_id
           WHERE s.dataset_id = %s AND t.dataset_id = %s""",
        (dataset.id, dataset.id),
    ).fetchall()
    return {(tuple(key), parameter): id_ for key, parameter, id_ in rows}


def body_until(conn: Connection, dataset_ids: Sequence[int]) -> dict[int, datetime | None]:
    """For each dataset the last instant that may stand in the lake; None: nothing is there."""
    rows = conn.execute(
        "SELECT id, body_until FROM dataset WHERE id = ANY (%s)", (list(dataset_ids),)
    ).fetchall()
    return dict(rows)


def duration(text: str) -> timedelta:
    """An ISO 8601 duration of days, hours, minutes and seconds. Raises Invalid."""
    size = parse_duration(text)
    if size is None:
        raise Invalid("lake.bad_duration", text=text)
    return size
