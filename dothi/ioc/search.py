"""Finding anything by name, with or without accents, within what the policy shows the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide
from dothi.identity.predicate import admits, to_postgres
from dothi.ioc.desk import Desk
from dothi.ioc.names import words
from dothi.kernel.i18n import t
from dothi.lake import loads
from dothi.store.database import own_sql

BASE = "/search"
MOST = 50
"""Names that are shown."""
_LOOKED_AT = 400
"""Names of which the best are shown, where many hold the words."""
_LONGEST_QUERY = 200
_MOST_WORDS = 8


@dataclass(frozen=True)
class Found:
    """One name: what it names and where it leads."""

    kind: str
    title: str
    detail: str
    url: str


@dataclass(frozen=True)
class Results:
    """What was found for a query, best first. `more`: there are others."""

    query: str
    found: tuple[Found, ...]
    more: bool


def search(
    desk: Desk, actor: Actor, lang: str, query: str, pages: Sequence[tuple[str, str]]
) -> Results:
    """Names whose words begin with those of the query. `pages`: titles and addresses of the pages
    this person may open."""
    query = query.strip()[:_LONGEST_QUERY]
    wanted = words(query)
    asked = wanted.split()[:_MOST_WORDS]
    if not asked:
        return Results(query, (), False)
    said = t("search.kind_page", lang)
    found = [Found("page", title, said, url) for title, url in pages if _begin(words(title), asked)]
    rows = _rows(desk, actor, wanted, asked)
    for kind, code, title, place, url in rows[:MOST]:
        name = title.get(lang) or title.get("vi") or next(filter(None, title.values()), code)
        parts = (t(f"search.kind_{kind}", lang), code if code != name else "", place)
        found.append(Found(kind, name, " · ".join(part for part in parts if part), url))
    return Results(query, tuple(found[:MOST]), len(rows) > MOST)


def _begin(text: str, asked: Sequence[str]) -> bool:
    there = text.split()
    return all(any(word.startswith(one) for word in there) for one in asked)


def _rows(desk: Desk, actor: Actor, wanted: str, asked: Sequence[str]) -> list[tuple[Any, ...]]:
    seen = _seen(desk, actor)
    work = decide(actor, "work.read", Resource("work", agency_column="agency_id"))
    policy = to_postgres(work.rows, {"agency_id": "int"}, table="n") if work.allowed else None
    visible = f"""(n.kind = ANY (%(open)s)
        OR n.kind = ANY ('{{indicator,dataset,thing}}') AND n.dataset_id = ANY (%(read)s)
        OR n.kind = 'load' AND n.dataset_id = ANY (%(loads)s)
        {f"OR n.kind = 'work' AND {policy.text}" if policy else ""})"""
    order = "n.id, n.exact, n.key, n.rank"
    values: dict[str, Any] = {
        "open": seen.open,
        "read": list(seen.read),
        "loads": seen.loads,
        "words": " & ".join(f"{word}:*" for word in asked),
        "start": wanted,
        "end": wanted + "~",  # after every letter and digit
        "looked_at": _LOOKED_AT,
        "most": MOST + 1,
    } | (dict(policy.params) if policy else {})
    with desk.db.transaction() as conn:
        rows = conn.execute(
            own_sql(f"""
            WITH hit AS (
                (SELECT {order} FROM search_name n
                 WHERE n.key ~>=~ %(start)s AND n.key ~<~ %(end)s AND {visible}
                 ORDER BY n.key USING ~<~ LIMIT %(most)s)
                UNION
                (SELECT {order} FROM search_name n
                 WHERE n.rank <= 3 AND n.words @@ to_tsquery('simple', %(words)s) AND {visible}
                 LIMIT %(most)s)
                UNION
                (SELECT {order} FROM search_name n
                 WHERE n.words @@ to_tsquery('simple', %(words)s) AND {visible} LIMIT %(looked_at)s)
            ), best AS (
                SELECT id, row_number() OVER (
                    ORDER BY exact = %(start)s DESC, key ~>=~ %(start)s AND key ~<~ %(end)s DESC,
                             rank, length(key), key) AS place
                FROM hit ORDER BY place LIMIT %(most)s
            )
            SELECT kind, code, title, n.place, url, dataset_id, agency_id
            FROM best JOIN search_name n USING (id) ORDER BY best.place"""),
            values,
        ).fetchall()
    return [row[:5] for row in rows if row[0] != "thing" or seen.admits(row[5], row[6])]


@dataclass(frozen=True)
class _Seen:
    """Kinds that are for this actor whole, and the datasets whose names and loads are."""

    open: list[str]
    read: dict[int, Any]
    loads: list[int]

    def admits(self, dataset: int, agency: int | None) -> bool:
        return admits(self.read[dataset], {"agency_id": agency})


def _seen(desk: Desk, actor: Actor) -> _Seen:
    datasets = desk.datasets()
    read = {d.id: decide(actor, "dataset.read", d.resource) for d in datasets}
    whole = {
        "agency": decide(actor, "agency.read", Resource("agency")),
        "unit": decide(actor, "unit.read", Resource("unit")),
    }
    return _Seen(
        [kind for kind, decision in whole.items() if decision.allowed],
        {number: decision.rows for number, decision in read.items() if decision.allowed},
        [d.id for d in datasets if decide(actor, "load.read", loads.resource(d, 0)).allowed],
    )
