"""A pack's own layout of its page: `dashboard.yaml`, sections in their order."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dothi.kernel.errors import Invalid
from dothi.lake.document import Place, Reading

Kind = Literal["tiles", "map", "table", "chart", "league", "score", "text", "work", "data", "about"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
GRAINS: tuple[Literal["month", "quarter", "year"], ...] = ("month", "quarter", "year")
SPANS = ("today", "7d", "30d", "month", "year")
FILE = "dashboard.yaml"
MOST_IN_LEAGUE = 100

WORDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tiles": ((), ("indicators",)),
    "map": ((), ()),
    "table": ((), ("datasets",)),
    "chart": ((), ("indicator",)),
    "league": (("indicator",), ("most",)),
    "score": (("score",), ("grain",)),
    "text": (("text",), ()),
    "work": ((), ()),
    "data": ((), ()),
    "about": ((), ()),
}
"""What a section of each kind has to say, and what it may; each may have a title."""
MANY = frozenset({"league", "score", "text"})
"""Kinds of which there may be several; the others are panels that stand once on a page."""


@dataclass(frozen=True)
class Section:
    """One part of the page. Without names it shows all that the pack has of its sort."""

    kind: Kind
    title: dict[str, str] | None = None
    indicators: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    indicator: str | None = None
    score: str | None = None
    text: dict[str, str] | None = None
    grain: Literal["month", "quarter", "year"] = "month"
    """Of which periods a score is shown."""
    most: int = 10


@dataclass(frozen=True)
class Dashboard:
    """The page as the pack wants it; `span` is the time range until a person chooses another, `title`
    that of the page where it is not the pack's."""

    sections: tuple[Section, ...]
    span: str | None = None
    title: dict[str, str] | None = None


@dataclass(frozen=True)
class Names:
    """What sections may name: the pack's indicators, scores and datasets."""

    indicators: frozenset[str] = frozenset()
    scores: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()


def load(folder: Path, names: Names | None = None) -> Dashboard | None:
    """The layout of the pack in a folder, None where it gives none. Raises Invalid with every
    fault; without `names`, what sections name is not judged."""
    path = folder / FILE
    if not path.is_file():
        return None
    reading = Reading.of(path)
    reading.finish("packs.invalid")
    doc = reading.mapping(reading.root, ())
    _known(reading, doc, (), ("title", "span", "sections"))
    span = _one_of(reading, doc, (), "span", SPANS) if "span" in doc else None
    title = reading.titles(doc, ()) if "title" in doc else None
    sections: list[Section] = []
    seen: set[str] = set()
    for i, entry in enumerate(reading.sequence(doc.get("sections"), ("sections",))):
        section = _section(reading, entry, ("sections", i), names)
        if section is None:
            continue
        if section.kind in seen and section.kind not in MANY:
            reading.fault(("sections", i, "kind"), "packs.board_twice", kind=section.kind)
        seen.add(section.kind)
        sections.append(section)
    if not doc.get("sections"):
        reading.fault(("sections",), "packs.board_empty")
    if "map" in seen and "table" not in seen:
        reading.fault(("sections",), "packs.board_map")
    reading.finish("packs.invalid")
    return Dashboard(tuple(sections), span, title)


def _section(reading: Reading, entry: Any, place: Place, names: Names | None) -> Section | None:
    if not isinstance(entry, dict):
        reading.mapping(entry, place)
        return None
    kind = _one_of(reading, entry, place, "kind", tuple(WORDS))
    if kind is None:
        return None
    needed, allowed = WORDS[kind]
    _known(reading, entry, place, ("kind", "title", *needed, *allowed))
    for word in needed:
        if entry.get(word) is None:
            reading.fault(place, "lake.yaml_missing", name=word)
    most = entry.get("most", 10)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_IN_LEAGUE:
        reading.fault((*place, "most"), "packs.board_most", most=MOST_IN_LEAGUE)
        most = 10
    grain = _one_of(reading, entry, place, "grain", GRAINS) if "grain" in entry else None
    return Section(
        kind=next(k for k in _KINDS if k == kind),
        title=reading.titles(entry, place) if "title" in entry else None,
        indicators=_names(reading, entry, place, "indicators", names and names.indicators),
        datasets=_names(reading, entry, place, "datasets", names and names.datasets),
        indicator=_name(reading, entry, place, "indicator", names and names.indicators),
        score=_name(reading, entry, place, "score", names and names.scores),
        grain=next(g for g in GRAINS if g == (grain or "month")),
        text=reading.titles(entry, place, "text") if "text" in entry else None,
        most=most,
    )


def _known(reading: Reading, doc: dict[str, Any], place: Place, known: tuple[str, ...]) -> None:
    for key in doc:
        if key not in known:
            _unknown(reading, (*place, key), str(key), known)


def _one_of(
    reading: Reading, doc: dict[str, Any], place: Place, word: str, known: tuple[str, ...]
) -> str | None:
    value = doc.get(word)
    if value is None:
        reading.fault(place, "lake.yaml_missing", name=word)
    elif value not in known:
        _unknown(reading, (*place, word), str(value), known)
    else:
        return value
    return None


def _names(
    reading: Reading, entry: dict[str, Any], place: Place, word: str, known: Iterable[str] | None
) -> tuple[str, ...]:
    if word not in entry:
        return ()
    given = reading.sequence(entry[word], (*place, word))
    if not given:
        reading.fault((*place, word), "lake.yaml_missing", name=word)
    for i, name in enumerate(given):
        _judge(reading, name, (*place, word, i), known)
    return tuple(str(name) for name in given)


def _name(
    reading: Reading, entry: dict[str, Any], place: Place, word: str, known: Iterable[str] | None
) -> str | None:
    if word not in entry:
        return None
    _judge(reading, entry[word], (*place, word), known)
    return str(entry[word])


def _judge(reading: Reading, name: Any, place: Place, known: Iterable[str] | None) -> None:
    if not isinstance(name, str):
        reading.fault(place, "lake.yaml_want_text", name=str(place[-1]))
    elif known is not None and name not in known:
        _unknown(reading, place, name, sorted(known))


def _unknown(reading: Reading, place: Place, name: str, known: Iterable[str]) -> None:
    """A fault that names what there is, and what was probably meant."""
    known = list(known)
    near = [one for one in known if name and (name.startswith(one) or one.startswith(name))]
    near = near or difflib.get_close_matches(name, known, 1)
    key = "packs.board_slip" if near else "packs.board_unknown"
    reading.fault(place, key, name=name, near=near[0] if near else "", known=", ".join(known))


def fits(folder: Path) -> Dashboard | None:
    """The layout where it can be used: None without one, and where it has faults, which the check
    of packs says."""
    try:
        return load(folder)
    except Invalid:
        return None
