"""Zipped Shapefile: .shp with its .dbf and .shx of the same name, .prj and .cpg where there are."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dothi.lake.reading import encodings, fonts, unpack
from dothi.lake.reading.limits import MOST_COLUMNS, MOST_GEOMETRY
from dothi.lake.reading.refused import Refused
from dothi.lake.reading.relation import read_csv
from dothi.lake.reading.result import Table
from dothi.lake.reading.shapes import MOST_CRS, Shapes
from dothi.lake.reading.writer import Writer

_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def open_shapefile(
    archive: zipfile.ZipFile, member: str, how: Mapping[str, Any], work: Path
) -> Table:
    """The Shapefile `member` of an archive as a table. Raises Refused."""
    parts = _unpack(archive, member, work)
    for needed in (".dbf", ".shx"):
        if needed not in parts:
            raise Refused("reading.shapefile_part", name=PurePosixPath(member).stem[:60] + needed)
    crs = None
    if ".prj" in parts:
        if parts[".prj"].stat().st_size > MOST_CRS:
            raise Refused("reading.bad_crs", name=".prj")
        crs = parts[".prj"].read_text("utf-8", "replace").strip() or None
    shapes = Shapes(crs)
    notes: dict[str, Any] = {"format": "shp", "member": member}
    if crs is None:
        notes["crs_missing"] = True
    encoding = _encoding(parts, how)
    notes["encoding"] = encoding
    writer = Writer(work / "table.csv", longest=MOST_GEOMETRY)
    try:
        writer.write(_rows(parts, shapes, encoding))
    except (struct.error, ValueError, IndexError, KeyError, OverflowError, EOFError) as error:
        raise _damaged(error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "shapefile":
            raise _damaged(error) from error
        raise
    if not writer.rows:
        raise Refused("lake.file_empty")
    if font := writer.finish(how.get("font")):
        notes["font"] = font
    notes.update(shapes.notes)
    names = writer.names(font)
    relation = read_csv(work / "table.csv", names, longest=writer.longest_row)
    return Table(relation, names, None, notes)


def _unpack(archive: zipfile.ZipFile, member: str, work: Path) -> dict[str, Path]:
    stem = member[: -len(".shp")].lower()
    return {
        suffix: unpack.extract(archive, name, work / f"shape{suffix}")
        for name in archive.namelist()
        for suffix in _PARTS
        if name.lower() == stem + suffix
    }


def _encoding(parts: dict[str, Path], how: Mapping[str, Any]) -> str:
    """How the attributes are written: as `how` or the .cpg file say, else told from them."""
    said = str(how.get("encoding") or "")
    if not said and ".cpg" in parts:
        said = parts[".cpg"].read_bytes()[:40].decode("ascii", "ignore").strip()
    if said and (known := encodings.known(said)):
        return known
    data = parts[".dbf"].read_bytes()
    try:
        data[32:].decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        text = "".join(c if c > "\x7f" or c.isalpha() else " " for c in data[32:].decode("latin-1"))
        return "latin-1" if fonts.font_of(text) else encodings.one_byte(text)


def _rows(parts: dict[str, Path], shapes: Shapes, encoding: str) -> Iterator[dict[str, Any]]:
    import shapefile
    from shapely.geometry import shape as as_shape

    with (
        parts[".shp"].open("rb") as shp,
        parts[".shx"].open("rb") as shx,
        parts[".dbf"].open("rb") as dbf,
        _reader(shp=shp, shx=shx, dbf=dbf, encoding=encoding, encodingErrors="replace") as reader,
    ):
        names = [field[0] for field in reader.fields[1:]]
        if len(names) > MOST_COLUMNS:
            raise Refused("reading.too_many_columns", count=len(names), most=MOST_COLUMNS)
        for number, item in enumerate(reader.iterShapeRecords(), 1):
            row: dict[str, Any] = dict(zip(names, item.record, strict=False))
            if item.shape is None or item.shape.shapeType == shapefile.NULL:
                yield row | {"geometry": None}
                continue
            yield row | shapes.columns(as_shape(item.shape.__geo_interface__), number)


def _reader(**parts: Any) -> Any:
    import shapefile

    return shapefile.Reader(**parts)


def _damaged(error: Exception) -> Refused:
    return Refused("reading.damaged", format="Shapefile", problem=str(error)[:200])
