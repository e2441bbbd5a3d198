"""The one door: a file of unknown intent becomes a table of texts, or is refused with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.reading import kind, unpack
from dothi.lake.reading.refused import Refused
from dothi.lake.reading.result import Table

__all__ = ["Refused", "Table", "open_table"]


def open_table(
    root: duckdb.DuckDBPyConnection, path: Path, how: Mapping[str, Any], work: Path
) -> Table:
    """The file as a table; what `how` does not say is told from its content.

    `how` may hold: format ("csv", "xlsx", "json", "ndjson", "parquet", "geojson", "gpkg", "shp"),
    member (of a zip), sheet, layer, header_row (from 1; 0: none), skip_blank, delimiter, quote,
    encoding, font ("tcvn3", "vni"), path (JSON pointer to the array of rows), twice ("number":
    names that repeat are numbered instead of refused). Copies are written below `work`.
    Raises Refused.
    """
    root.execute("SET preserve_insertion_order = true")
    table = _open(root, path, how, work, packed=False)
    wanted = how.get("format")
    if wanted and wanted != table.notes["format"]:
        raise Refused("reading.other_format", wanted=wanted, found=table.notes["format"])
    return table


def _open(
    root: duckdb.DuckDBPyConnection, path: Path, how: Mapping[str, Any], work: Path, *, packed: bool
) -> Table:
    what = kind.kind(path)
    if what in ("gz", "zip"):
        if packed:
            raise Refused("reading.nested_archive", name=what)
        return _unpacked(root, path, what, how, work)
    # Each form's library is loaded only when it is needed: a job starts for every file.
    if what == "parquet":
        from dothi.lake.reading.columnar import open_parquet

        return open_parquet(root, path, work)
    if what == "gpkg":
        from dothi.lake.reading.geopackage import open_layer

        return open_layer(path, how, work)
    if what in ("json", "ndjson") and how.get("format") != "csv":
        from dothi.lake.reading.objects import open_document, open_lines

        return (open_lines if what == "ndjson" else open_document)(path, how, work)
    from dothi.lake.reading.delimited import open_delimited

    return open_delimited(path, how, work)


def _unpacked(
    root: duckdb.DuckDBPyConnection, path: Path, what: str, how: Mapping[str, Any], work: Path
) -> Table:
    inside = work / "unpacked"
    if what == "gz":
        unpack.gunzip(path, inside)
        table = _open(root, inside, how, work, packed=True)
        return _noted(table, packed="gz")
    with unpack.open_zip(path) as archive:
        from dothi.lake.reading import sheets

        if sheets.is_workbook(archive):
            return sheets.open_sheet(path, archive, how, work)
        member, members = unpack.choose(archive, how)
        if member.lower().endswith(".shp"):
            from dothi.lake.reading.shapefiles import open_shapefile

            return open_shapefile(archive, member, how, work)
        unpack.extract(archive, member, inside)
    table = _open(root, inside, how, work, packed=True)
    return _noted(table, packed="zip", member=member, members=members[:100])


def _noted(table: Table, **notes: Any) -> Table:
    return Table(table.relation, table.columns, table.row_of, {**table.notes, **notes})
