"""YAML files that people write: read to plain data, every fault with line and column.

A `Reading` walks the data and collects faults instead of raising at the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from dothi.kernel.errors import Fault, Invalid

Place = tuple[str | int, ...]
"""Where in a document: the keys and indexes from its root."""


class Reading:
    """One document being read; `finish` raises Invalid with all its faults."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.faults: list[Fault] = []
        self._marks: dict[Place, tuple[int, int]] = {}
        self.root: Any = None
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            if node is not None:
                self.root = self._plain(node, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            at = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            self.faults.append(Fault(at, "lake.yaml_syntax", {"problem": error.problem or ""}))
        except (yaml.YAMLError, RecursionError) as error:
            self.faults.append(Fault(name, "lake.yaml_syntax", {"problem": str(error)[:200]}))

    @classmethod
    def of(cls, path: Path) -> Reading:
        """Read a file; one that cannot be read is a fault, not an exception."""
        try:
            return cls(path.read_text("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            reading = cls("", str(path))
            reading.faults.append(
                Fault(str(path), "lake.yaml_unreadable", {"problem": str(error)[:200]})
            )
            return reading

    def _plain(self, node: yaml.Node, place: Place) -> Any:
        self._marks[place] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            out: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = self._scalar(key_node, place)
                if not isinstance(key, str | int):
                    key = str(key)
                here = (*place, key)
                if key in out:
                    self._marks[here] = (
                        key_node.start_mark.line + 1,
                        key_node.start_mark.column + 1,
                    )
                    self.fault(here, "lake.yaml_twice", name=key)
                out[key] = self._plain(value_node, here)
            return out
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(child, (*place, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, place)

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, OverflowError):  # 2026-02-30 looks like a date, and is none
            self.fault(place, "lake.yaml_value", text=str(node.value)[:60])
            return node.value

    def at(self, place: Place) -> str:
        """A place as file:line:column; that of the nearest one that the file has."""
        while place and place not in self._marks:
            place = place[:-1]
        line, column = self._marks.get(place, (1, 1))
        return f"{self.name}:{line}:{column}"

    def fault(self, place: Place, key: str, **params: Any) -> None:
        """Note a fault at a place."""
        self.faults.append(Fault(self.at(place), key, params))

    def finish(self, key: str = "lake.document_invalid") -> None:
        """Raise Invalid when anything was wrong."""
        if self.faults:
            raise Invalid(key, faults=self.faults, name=self.name)

    def mapping(self, value: Any, place: Place, *, known: set[str] | None = None) -> dict[str, Any]:
        """A mapping; with `known`, keys outside it are faults."""
        if not isinstance(value, dict):
            if place:
                self.fault(place, "lake.yaml_want_mapping", name=_last(place))
            else:
                self.fault(place, "lake.yaml_want_document")
            return {}
        for key in value:
            if known is not None and key not in known:
                self.fault(
                    (*place, key), "lake.yaml_unknown_key", name=key, known=", ".join(sorted(known))
                )
        return value

    def items(self, value: Any, place: Place) -> Iterator[tuple[Place, str, Any]]:
        """The entries of a mapping whose keys are names."""
        for key, entry in self.mapping(value, place).items():
            yield (*place, key), str(key), entry

    def sequence(self, value: Any, place: Place) -> list[Any]:
        """A list; a single value is not taken for one."""
        if not isinstance(value, list):
            self.fault(place, "lake.yaml_want_list", name=_last(place))
            return []
        return value

    def texts(self, value: Any, place: Place) -> tuple[str, ...]:
        """A list of texts."""
        found = self.sequence(value, place)
        for i, one in enumerate(found):
            if not isinstance(one, str):
                self.fault((*place, i), "lake.yaml_want_text", name=_last(place))
        return tuple(str(one) for one in found)

    def truth(self, holder: dict[str, Any], place: Place, name: str) -> bool:
        """Yes or no; without it no."""
        value = holder.get(name, False)
        if not isinstance(value, bool):
            self.fault((*place, name), "lake.yaml_want_choice", name=name, choices="true, false")
        return value is True

    def text(
        self, holder: dict[str, Any], place: Place, name: str, default: str | None = ""
    ) -> str:
        """A text; without it the default, and with default None a fault."""
        value = holder.get(name)
        if value is None:
            if default is None:
                self.fault(place, "lake.yaml_missing", name=name)
            return default or ""
        if not isinstance(value, str):
            self.fault((*place, name), "lake.yaml_want_text", name=name)
            return default or ""
        return value

    def titles(self, holder: dict[str, Any], place: Place, name: str = "title") -> dict[str, str]:
        """A text in both languages."""
        value = holder.get(name)
        if not isinstance(value, dict) or not all(
            isinstance(value.get(lang), str) and value[lang].strip() for lang in ("vi", "en")
        ):
            self.fault((*place, name), "lake.yaml_want_titles", name=name)
            return {"vi": "", "en": ""}
        return {"vi": value["vi"], "en": value["en"]}

    def number(self, value: Any, place: Place) -> float | None:
        """A finite number or None."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            self.fault(place, "lake.yaml_want_number", name=_last(place))
            return None
        return float(value)

    def choice(
        self, holder: dict[str, Any], place: Place, name: str, choices: tuple[str, ...],
        default: str | None = None,
    ) -> str:  # fmt: skip
        """One of the given words."""
        value = holder.get(name, default)
        if value not in choices:
            self.fault(
                (*place, name), "lake.yaml_want_choice", name=name, choices=", ".join(choices)
            )
            return default or choices[0]
        return value

    def attempt(self, place: Place, make: Callable[[], Any], default: Any = None) -> Any:
        """What `make` returns; an Invalid from it becomes a fault at this place."""
        try:
            return make()
        except Invalid as error:
            self.fault(place, error.key, **error.params)
            return default


def _last(place: Place) -> str:
    return str(place[-1])
