"""JSON: an array of objects, one somewhere inside an object, one object a line; GeoJSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from dothi.lake.reading.limits import (
    MOST_CELL,
    MOST_DEPTH,
    MOST_GEOMETRY,
    MOST_JSON,
    MOST_NUMBER,
)  # fmt: skip
from dothi.lake.reading.refused import Refused
from dothi.lake.reading.relation import read_csv
from dothi.lake.reading.result import Table
from dothi.lake.reading.writer import Writer, finite, flat

# A text that never ends is one token too, and nothing is tried twice: time and memory stay linear.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
_GEOMETRIES = {
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
    "GeometryCollection",
}  # fmt: skip


def open_lines(path: Path, how: Mapping[str, Any], work: Path) -> Table:
    """NDJSON: each line an object. Raises Refused."""
    return _table(_lines(path), how, work, {"format": "ndjson", "encoding": "utf-8"})


def open_document(path: Path, how: Mapping[str, Any], work: Path) -> Table:
    """One JSON document; a FeatureCollection is read as GeoJSON. Raises Refused."""
    text = _text_of(path)
    _check_depth(text)
    pointer = how.get("path")
    found = _Document(text)
    if pointer is None:
        pointer = found.best_array()
    items = found.items(str(pointer))
    notes: dict[str, Any] = {"format": "json", "encoding": "utf-8", "path": pointer}
    first = next(items, None)
    if first is None:
        raise Refused("lake.file_empty")
    if not isinstance(first, dict):
        raise Refused("reading.no_objects", path=str(pointer)[:100])
    items = chain([first], items)
    if first.get("type") == "Feature" or how.get("format") == "geojson":
        notes["format"] = "geojson"
        return _features(items, found.crs(), how, work, notes)
    return _table(items, how, work, notes)


def _table(
    items: Iterator[Any], how: Mapping[str, Any], work: Path, notes: dict[str, Any]
) -> Table:
    def rows() -> Iterator[dict[str, Any]]:
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict):
                raise Refused("reading.not_an_object", row=number)
            yield dict(flat(item))

    return _write(rows(), how, work, notes, MOST_CELL)


def _features(
    items: Iterator[Any], crs: str | None, how: Mapping[str, Any], work: Path, notes: dict[str, Any]
) -> Table:
    from dothi.lake.reading.shapes import Shapes

    shapes = Shapes(crs)

    def rows() -> Iterator[dict[str, Any]]:
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict) or item.get("type") != "Feature":
                raise Refused("reading.not_a_feature", row=number)
            row = dict(flat(item.get("properties") or {}))
            if "id" in item and "id" not in row:
                row["id"] = item["id"]
            geometry = item.get("geometry")
            if geometry is not None and (
                not isinstance(geometry, dict) or geometry.get("type") not in _GEOMETRIES
            ):
                raise Refused("reading.bad_geometry", row=number)
            yield row | shapes.from_geojson(geometry, number)

    table = _write(rows(), how, work, notes, MOST_GEOMETRY)
    notes.update(shapes.notes)
    return table


def _write(
    rows: Iterator[dict[str, Any]], how: Mapping[str, Any], work: Path, notes: dict[str, Any],
    longest: int,
) -> Table:  # fmt: skip
    target = work / "table.csv"
    writer = Writer(target, longest=longest)
    writer.write(rows)
    if not writer.columns:
        raise Refused("lake.file_empty")
    if font := writer.finish(how.get("font")):
        notes["font"] = font
    columns = writer.names(font)
    return Table(read_csv(target, columns, longest=writer.longest_row), columns, None, notes)


def _text_of(path: Path) -> str:
    size = path.stat().st_size
    if size > MOST_JSON:
        raise Refused("reading.json_too_large", size=size, most=MOST_JSON)
    data = path.read_bytes()
    if b"\x00" in data[:4096]:
        raise Refused("reading.zero_bytes")
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("reading.json_not_utf8", place=error.start) from error


def _check_depth(text: str) -> None:
    """Before anything is parsed: a parser that calls itself would not come back."""
    depth = 0
    for found in _TOKEN.finditer(text):
        first = found[0][0]
        if first in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                raise Refused("reading.too_deep", most=MOST_DEPTH)
        elif first in "]}":
            depth -= 1


def _number(text: str) -> int:
    if len(text) > MOST_NUMBER:
        raise Refused("reading.bad_number")
    return int(text)


def _no_number(_name: str) -> float:
    raise Refused("reading.bad_number")


_DECODER = json.JSONDecoder(
    parse_float=lambda text: finite(float(text)), parse_int=_number, parse_constant=_no_number
)


def _lines(path: Path) -> Iterator[Any]:
    most = 16 * MOST_CELL
    with path.open("rb") as file:
        number = 0
        while line := file.readline(most + 1):
            number += 1
            if len(line) > most:
                raise Refused("reading.cell_too_long", most=MOST_CELL)
            if not line.strip():
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                _check_depth(text)
                item, end = _DECODER.raw_decode(text)
            except UnicodeDecodeError as error:
                raise Refused("reading.json_not_utf8", place=error.start) from error
            except ValueError as error:
                raise Refused("reading.bad_json", line=number, problem=str(error)[:200]) from error
            if end != len(text):
                raise Refused("reading.bad_json", line=number, problem="extra data")
            yield item


class _Document:
    """A JSON text that is read item by item: never as a whole."""

    def __init__(self, text: str) -> None:
        self._text = text

    def best_array(self) -> str:
        """The pointer to the longest array of objects, the outermost first.

        Raises Refused when there is none.
        """
        found: list[tuple[int, int, str]] = []
        self._look(self._skip(0), "", 0, found)
        if not found:
            raise Refused("reading.no_array")
        return max(found)[2]

    def _look(self, at: int, pointer: str, depth: int, found: list[tuple[int, int, str]]) -> None:
        if self._at(at) == "[":
            start = self._skip(at + 1)
            if self._at(start) == "{":
                # As long as its text: counting its items would mean parsing them.
                found.append((-depth, self._end(at) - at, pointer))
        elif self._at(at) == "{" and depth < 3:
            for name, value_at in self._members(at):
                escaped = name.replace("~", "~0").replace("/", "~1")
                self._look(value_at, f"{pointer}/{escaped}", depth + 1, found)

    def crs(self) -> str | None:
        """The coordinate system a GeoJSON of 2008 names."""
        at = self._skip(0)
        if self._at(at) != "{":
            return None
        for name, value_at in self._members(at):
            if name == "crs" and self._at(value_at) == "{":
                value = self._parse(value_at)[0]
                properties = value.get("properties") if isinstance(value, dict) else None
                said = properties.get("name") if isinstance(properties, dict) else None
                return str(said)[:200] if said else None
        return None

    def items(self, pointer: str) -> Iterator[Any]:
        """The items of the array at a JSON pointer."""
        at = self._skip(0)
        for part in pointer.split("/")[1:] if pointer else []:
            name = part.replace("~1", "/").replace("~0", "~")
            if self._at(at) != "{":
                raise Refused("reading.no_path", path=pointer[:100])
            at = dict(self._members(at)).get(name, -1)
            if at < 0:
                raise Refused("reading.no_path", path=pointer[:100])
        if self._at(at) != "[":
            raise Refused("reading.no_path", path=pointer[:100])
        return self._each(at)

    def _each(self, at: int) -> Iterator[Any]:
        at = self._skip(at + 1)
        if self._at(at) == "]":
            return
        while True:
            item, at = self._parse(at)
            yield item
            at = self._skip(at)
            if self._at(at) == "]":
                return
            self._expect(at, ",")
            at = self._skip(at + 1)

    def _members(self, at: int) -> Iterator[tuple[str, int]]:
        """Names of an object and where their values begin."""
        at = self._skip(at + 1)
        if self._at(at) == "}":
            return
        while True:
            self._expect(at, '"')
            name, at = self._parse(at)
            at = self._skip(at)
            self._expect(at, ":")
            at = self._skip(at + 1)
            yield str(name), at
            at = self._skip(self._end(at))
            if self._at(at) == "}":
                return
            self._expect(at, ",")
            at = self._skip(at + 1)

    def _end(self, at: int) -> int:
        """Where the value that begins here ends."""
        if self._at(at) not in ("[", "{"):
            return self._parse(at)[1]
        depth = 0
        for found in _TOKEN.finditer(self._text, at):
            first = found[0][0]
            if first in "[{":
                depth += 1
            elif first in "]}":
                depth -= 1
                if depth == 0:
                    return found.end()
        raise self._bad(at, "cut off")

    def _parse(self, at: int) -> tuple[Any, int]:
        try:
            return _DECODER.raw_decode(self._text, at)
        except ValueError as error:
            raise self._bad(at, str(error)) from error
        except RecursionError as error:
            raise Refused("reading.too_deep", most=MOST_DEPTH) from error

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _at(self, at: int) -> str:
        return self._text[at : at + 1]

    def _expect(self, at: int, what: str) -> None:
        if self._at(at) != what:
            raise self._bad(at, f"expected {what}")

    def _bad(self, at: int, problem: str) -> Refused:
        line = self._text.count("\n", 0, at) + 1
        return Refused("reading.bad_json", line=line, problem=problem[:200])
