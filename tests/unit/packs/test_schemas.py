"""The schemas for editors and the validators say the same of every file of a pack.

A file that comes with dothi, or with one thing in it changed, is refused by both or by neither. What
no schema can say is listed in BEYOND: names that refer to another part, texts with a grammar.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dothi.indicators import cases, dashboard, definition, score
from dothi.indicators.checking import check
from dothi.kernel.errors import Fault, Invalid
from dothi.lake.contract import parse_contract
from dothi.packs import schemas
from dothi.packs.begin import begin
from dothi.packs.demo.spec import demo_agencies, read_spec
from dothi.packs.load import load, load_all, shipped
from dothi.packs.model import PackFile
from tests.unit.packs.test_packs_doc import FILES

CONTRACTS = Path(__file__).parents[2] / "integration" / "lake" / "contracts"
SELECT = "SELECT 1"

BEYOND = {
    # what refers to another part of the file, or to another file
    "lake.key_without_column", "lake.unknown_parameter", "lake.unknown_column", "lake.bad_weight",
    "lake.key_length", "lake.reserved_name", "packs.name_is_folder", "packs.case_unknown",
    "indicators.no_input", "demo.no_pollutant", "demo.twice", "demo.bad_row",
    # texts with a grammar of their own, and pairs that must fit each other
    "kernel.unknown_unit", "kernel.unknown_zone", "kernel.no_conversion", "kernel.bad_period",
    "lake.bad_pattern", "lake.pattern_without_groups", "lake.into_or_groups", "lake.bad_duration",
    "lake.check_syntax", "lake.check_unknown_column", "lake.check_not_allowed",
    "lake.check_no_condition", "lake.check_too_long",
    "lake.bad_date_parts", "lake.column_or_constant", "lake.marks_alike", "lake.bad_range",
    "lake.sharing_without_ground", "indicators.dates_reversed", "indicators.freshness_short", "packs.case_time",
    "packs.case_rows", "packs.case_boolean", "forms.yaml_rhythm", "forms.yaml_column",
}  # fmt: skip
"""Faults that no schema can say."""


@dataclass(frozen=True)
class Sort:
    """A sort of file: its schema's name, what the validator says of a document, documents that are
    sound. `refers`: keys whose value names another part, or a thing of another file. `within`: parts
    whose inside depends on other parts, which the schema leaves to the check."""

    name: str
    faults: Callable[[Any], list[Fault]]
    sound: Callable[[], list[Any]]
    refers: frozenset[str] = frozenset()
    within: frozenset[str] = frozenset()


def _said(judge: Callable[[], Any]) -> list[Fault]:
    try:
        judge()
    except Invalid as error:
        return error.faults or [Fault("", error.key)]
    return []


def _yaml(doc: Any) -> str:
    return yaml.safe_dump(doc, allow_unicode=True, sort_keys=False)


def _in_folder(name: str, doc: Any, judge: Callable[[Path], Any], folder: str = "p") -> list[Fault]:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / folder / name
        path.parent.mkdir(parents=True)
        path.write_text(_yaml(doc), "utf-8")
        return _said(lambda: judge(Path(temporary) / folder))


def _front(text: str) -> Any:
    return yaml.safe_load(text.split("\n---", 1)[0].split("---", 1)[-1])


def _files(pattern: str, read: Callable[[str], Any] = yaml.safe_load) -> list[Any]:
    found = [read(p.read_text("utf-8")) for p in sorted(shipped().glob(f"*/{pattern}"))]
    with tempfile.TemporaryDirectory() as folder:
        begin(Path(folder) / "made-here", "so-xd")
        found += [read(p.read_text("utf-8")) for p in sorted(Path(folder).glob(f"*/{pattern}"))]
    return found + [read(text) for name, text in FILES if Path(name).match(pattern)]


@cache
def _subjects() -> cases.Subjects:
    return check(sorted(p.parent for p in shipped().glob("*/pack.yaml"))).subjects


def _pack_faults(doc: Any) -> list[Fault]:
    name = doc.get("pack") if isinstance(doc, dict) else None
    return _in_folder("pack.yaml", doc, load, name if isinstance(name, str) and name else "p")


def _score_faults(doc: Any) -> list[Fault]:
    (pack,) = [one for one in load_all(shipped()) if one.scores]
    file = PackFile(Path("s.sql"), f"---\n{_yaml(doc)}---\n{SELECT}")
    return _said(lambda: score.parse(file, pack))


SORTS = [
    Sort("pack", _pack_faults, lambda: _files("pack.yaml")),
    Sort(
        "contract", lambda doc: _said(lambda: parse_contract(_yaml(doc))),
        lambda: [*_files("datasets/*.yaml"),
                 *(yaml.safe_load(p.read_text("utf-8")) for p in sorted(CONTRACTS.glob("*.yaml")))],
        frozenset({"key", "column"}), frozenset({"form"}),
    ),
    Sort(
        "indicator",
        lambda doc: _said(lambda: definition.parse(
            f"---\n{_yaml(doc)}---\n{SELECT}", "p", "o", "i.sql", stored=False)),
        lambda: _files("indicators/*.sql", _front),
        frozenset({"output"}),
    ),
    Sort("score", _score_faults, lambda: _files("scores/*.sql", _front),
         frozenset({"group", "behind", "rows", "factor", "count", "unless", "only_if", "seen", "capped",
                    "less"})),
    Sort(
        "case",
        lambda doc: _in_folder("tests/c.yaml", doc, lambda f: cases.read(f, _subjects())),
        lambda: [yaml.safe_load(p.read_text("utf-8"))
                 for p in sorted(shipped().glob("*/tests/*.yaml"))],
        frozenset(), frozenset({"rows", "expect"}),
    ),
    Sort(
        "demo",
        lambda doc: _in_folder("demo.yaml", doc, lambda f: read_spec(f / "demo.yaml", demo_agencies())),
        lambda: _files("demo*.yaml"),
        frozenset({"agency", "profile", "parent"}),
    ),
    Sort("dashboard", lambda doc: _in_folder("dashboard.yaml", doc, dashboard.load),
         lambda: _files("dashboard.yaml")),
]  # fmt: skip
BY_NAME = {sort.name: sort for sort in SORTS}


@cache
def sound(name: str) -> list[Any]:
    return BY_NAME[name].sound()


EACH = pytest.mark.parametrize("sort", SORTS, ids=[sort.name for sort in SORTS])


@cache
def judge(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads(schemas.text(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def written(doc: Any) -> Any:
    """The document as an editor's schema sees it: keys are texts, days are written out."""
    if isinstance(doc, dict):
        return {str(key): written(value) for key, value in doc.items()}
    if isinstance(doc, list):
        return [written(value) for value in doc]
    return doc.isoformat() if isinstance(doc, date | datetime) else doc


def places(doc: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something of the document can be changed, the whole left out."""
    for key, value in doc.items() if isinstance(doc, dict) else enumerate(doc):
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


CHANGES: dict[str, Any] = {
    "remove": None, "unknown": None, "number": 7.5, "text": "zzz", "list": ["zzz"], "nothing": None,
    "mapping": {"zzz": "zzz"}, "boolean": True,
}  # fmt: skip


def changed(doc: Any, place: tuple[Any, ...], how: str) -> Any:
    """A copy with one thing changed: a part gone, an unknown key beside it, another type or word."""
    doc = copy.deepcopy(doc)
    holder = doc
    for key in place[:-1]:
        holder = holder[key]
    if how == "remove":
        del holder[place[-1]]
    elif how == "unknown":
        if isinstance(holder, dict):
            holder["zzz"] = "zzz"
    else:
        holder[place[-1]] = copy.deepcopy(CHANGES[how])
    return doc


def assert_agree(sort: Sort, doc: Any, place: tuple[Any, ...] = ()) -> None:
    refused = [e.message[:200] for e in judge(sort.name).iter_errors(written(doc))]
    faults = sort.faults(doc)
    told = [f"{fault.where} {fault.text('en')}"[:200] for fault in faults]
    if refused:
        assert faults, f"{place}: only the schema refuses: {refused}"
    elif faults and place[0] not in sort.within and not sort.refers & set(map(str, place)):
        beyond = [
            fault for fault in faults
            if fault.key in BEYOND
            or (fault.key == "lake.yaml_want_choice" and fault.params["name"] in {*sort.refers, *map(str, place)})
            # a name that was taken away is used elsewhere in the file
            or (fault.key == "lake.yaml_unknown_key" and (fault.params["name"], "remove") == place[-2:])
        ]  # fmt: skip
        assert len(beyond) == len(faults), f"{place}: only the validator refuses: {told}"


@EACH
def test_every_file_that_comes_with_dothi_is_sound_for_both(sort: Sort) -> None:
    docs = sound(sort.name)
    assert docs
    for doc in docs:
        assert [e.message for e in judge(sort.name).iter_errors(written(doc))] == []
        assert [fault.text("en") for fault in sort.faults(doc)] == []


@EACH
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_what_one_refuses_the_other_does_too(sort: Sort, data: st.DataObject) -> None:
    doc = data.draw(st.sampled_from(sound(sort.name)), label="document")
    place = data.draw(st.sampled_from(list(places(doc))), label="place")
    how = data.draw(st.sampled_from(list(CHANGES)), label="change")
    assert_agree(sort, changed(doc, place, how), (*place, how))


def test_only_the_check_knows_where_a_name_that_was_taken_away_is_used() -> None:
    (doc,) = [doc for doc in sound("demo") if "no3" in doc["pollutants"]]
    place = ("pollutants", "no3")
    assert_agree(BY_NAME["demo"], changed(doc, place, "remove"), (*place, "remove"))
