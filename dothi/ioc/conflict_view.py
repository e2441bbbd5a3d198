"""Contradictions on screens: what claims one place, in what it differs, what may be done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.ioc import view as v
from dothi.ioc.admin.trail import in_words_of
from dothi.ioc.catalogue import cell
from dothi.kernel.i18n import NOTHING, number, t
from dothi.lake import loads, registry
from dothi.lake.columns import Column
from dothi.lake.loads import Contradiction
from dothi.lake.overtaken import Later, overtaken
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Connection


def conflict_views(
    lake: Lake, conn: Connection, actor: Actor, dataset: Dataset,
    found: Sequence[Contradiction], lang: str,
) -> tuple[v.Conflict, ...]:  # fmt: skip
    """A dataset's contradictions as this person may see them, with what they may do about them."""
    seen = loads.shown(conn, actor, dataset, found)
    replaced = overtaken(lake, conn, dataset, seen)
    may = decide(actor, "conflict.decide", dataset.resource).allowed
    files = dict(
        conn.execute(
            "SELECT id, coalesce(file_name, door) FROM load WHERE id = ANY (%s)",
            ([one.load_id for one in seen],),
        ).fetchall()
    )
    who = in_words_of(conn, {one.decided_by for one in seen if one.decided_by}, lang)
    if dataset.contract.kind == "series":
        streams, things = registry.streams(conn, dataset), registry.things(conn, dataset)
    else:
        streams, things = {}, {}
    out = []
    for one in seen:
        named: tuple[str, tuple[v.Fact, ...], list[tuple[str, tuple[v.Fact, ...]]]]
        if one.stream_id is None:
            named = _record(dataset, one, lang)
        else:
            stream = streams[one.stream_id]
            spec = dataset.contract.parameter(stream.parameter)
            place = things[stream.thing_id].title(lang)
            what = t("ioc.chart_of", lang, what=spec.title[lang], place=place)
            values = (number(c["value"], lang, spec.decimals) for c in one.candidates)
            named = what, (), [(f"{text} {spec.unit}", ()) for text in values]
        what, same, told = named
        later = replaced.get(one.id)
        open_ = may and one.decided_at is None and later is None
        note = f"lake.hint_{one.hint}" if one.hint else "ioc.conflict_note"
        out.append(
            v.Conflict(
                id=str(one.id),
                what=what,
                at=one.t,
                note=t("ioc.conflict_note_record" if one.stream_id is None else note, lang),
                rows=tuple(
                    v.ConflictRow(
                        value=text,
                        quality=t(f"lake.quality_{c['quality']}", lang),
                        file=files[one.load_id],
                        row=c["row"],
                        load_url=f"/loads/{one.load_id}",
                        choose_url=f"/conflicts/{one.id}/{c['row']}" if open_ else None,
                        chosen=(one.decision or {}).get("keep") == c["row"],
                        fields=fields,
                    )
                    for c, (text, fields) in zip(one.candidates, told, strict=True)
                ),
                same=same,
                none_url=f"/conflicts/{one.id}/0" if open_ else None,
                decided_by=who.get(one.decided_by or ""),
                decided_at=one.decided_at,
                later=v.Choice(_called(later, lang), f"/loads/{later.id}") if later else None,
                later_at=later.at if later else None,
            )
        )
    return tuple(out)


def _called(load: Later, lang: str) -> str:
    """A load by its file, or by the door it came through."""
    name = load.file_name or t(f"ioc.door_{load.door}", lang)
    return t("ioc.load_called", lang, id=load.id, name=name)


def _record(
    dataset: Dataset, found: Contradiction, lang: str
) -> tuple[str, tuple[v.Fact, ...], list[tuple[str, tuple[v.Fact, ...]]]]:
    """What a record is called, the columns in which its rows agree, and each row's others."""
    contents = [c["values"] for c in found.candidates]
    named, same = [], []
    differing: list[list[v.Fact]] = [[] for _ in contents]
    for column in dataset.contract.columns:
        values = [content[column.name] for content in contents if column.name in content]
        if not values:
            continue  # hidden from this person, or younger than the file
        title = (column.title or {}).get(lang, column.name)
        title = f"{title} ({column.unit})" if column.unit else title
        texts = _texts(column, values, lang)
        if column in dataset.contract.key:
            named.append(f"{title}: {texts[0]}")
        elif all(value == values[0] for value in values):
            same.append(v.Fact(title, texts[0]))
        else:
            for fields, text in zip(differing, texts, strict=True):
                fields.append(v.Fact(title, text))
    called = " · ".join(named) or dataset.contract.title[lang]
    rows = [t("ioc.row_of_file", lang, row=c["row"]) for c in found.candidates]
    return called, tuple(same), list(zip(rows, map(tuple, differing), strict=True))


def _texts(column: Column, values: Sequence[Any], lang: str) -> list[str]:
    """A column's values for people; exactly, where what is rounded would look alike."""
    read = {"date": date.fromisoformat, "instant": datetime.fromisoformat}.get(column.type)
    texts = [cell(read(one) if read and one is not None else one, lang) for one in values]
    if len(set(texts)) < len({str(one) for one in values}):
        return [NOTHING if value is None else str(value) for value in values]
    return texts
