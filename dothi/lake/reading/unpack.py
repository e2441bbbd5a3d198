"""Archives: everything is checked before anything is unpacked, and counted while it is."""

from __future__ import annotations

import errno
import gzip
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from dothi.lake.reading.limits import MOST_DIRECTORY, MOST_MEMBERS, unpacked
from dothi.lake.reading.refused import Refused

TABLES = (".csv", ".tsv", ".txt", ".json", ".ndjson", ".jsonl", ".geojson", ".parquet", ".gpkg")
ARCHIVES = (".zip", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst", ".tar", ".xlsx", ".jar")
_CHUNK = 1024 * 1024
_END = b"PK\x05\x06"
_BROKEN = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, ValueError, struct.error)


def gunzip(path: Path, target: Path) -> None:
    """Unpack a gzip file. Raises Refused when more comes out than may, or it is cut off."""
    most = unpacked(path.stat().st_size)
    with damaged(), gzip.open(path) as packed, target.open("wb") as out:
        _copy(packed, out, most)


@contextmanager
def damaged() -> Iterator[None]:
    """What the libraries raise for a broken archive becomes a refusal; a full disk does not."""
    try:
        yield
    except _BROKEN as error:
        raise Refused("reading.damaged_archive", problem=str(error)[:200]) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise
        raise Refused("reading.damaged_archive", problem=str(error)[:200]) from error


def _copy(packed: Any, out: BinaryIO, most: int) -> None:
    count = 0
    while part := packed.read(_CHUNK):
        count += len(part)
        if count > most:
            raise Refused("reading.unpacks_too_large", most=most)
        out.write(part)


def open_zip(path: Path) -> zipfile.ZipFile:
    """A zip whose list of members is checked: their number, names, kinds and sizes."""
    _check_directory(path)
    with damaged():
        archive = zipfile.ZipFile(path)
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise Refused("reading.too_many_members", count=len(members), most=MOST_MEMBERS)
    seen: set[str] = set()
    for member in members:
        _check_member(member, seen)
    total = sum(member.file_size for member in members)
    most = unpacked(path.stat().st_size)
    if total > most:
        raise Refused("reading.unpacks_too_large", most=most)
    return archive


def _check_directory(path: Path) -> None:
    """The number of members and the size of their list, from the archive's last bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        raise Refused("reading.damaged_archive", problem="no end of central directory")
    count, list_size = struct.unpack("<HI", tail[at + 10 : at + 16])
    if count > MOST_MEMBERS:
        raise Refused("reading.too_many_members", count=count, most=MOST_MEMBERS)
    if list_size > MOST_DIRECTORY:
        raise Refused("reading.too_many_members", count=count, most=MOST_MEMBERS)


def _check_member(member: zipfile.ZipInfo, seen: set[str]) -> None:
    name = member.orig_filename
    shown = name[:100]
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\x00" in name:
        raise Refused("reading.path_leads_out", name=shown)
    mode = member.external_attr >> 16
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0):
        raise Refused("reading.link_in_archive", name=shown)
    if member.flag_bits & 0x1:
        raise Refused("reading.encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused("reading.other_archive")
    if name.lower() in seen:
        raise Refused("reading.member_twice", name=shown)
    seen.add(name.lower())


def extract(archive: zipfile.ZipFile, name: str, target: Path) -> Path:
    """Unpack one member to the path given: never to one that the archive names."""
    with damaged(), archive.open(name) as packed, target.open("wb") as out:
        _copy(packed, out, archive.getinfo(name).file_size)
    return target


def names(archive: zipfile.ZipFile) -> list[str]:
    """The files of an archive that could be data."""
    return [
        name
        for name in archive.namelist()
        if not name.endswith("/")
        and not name.startswith("__MACOSX/")
        and not PurePosixPath(name).name.startswith(".")
    ]


def choose(archive: zipfile.ZipFile, how: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The member that is the table, and all that could be. Raises Refused when none or several
    could be and `how` does not say which."""
    inside = names(archive)
    tables = [n for n in inside if n.lower().endswith((*TABLES, ".shp"))]
    if wanted := how.get("member"):
        if wanted not in inside:
            raise Refused("reading.no_member", name=str(wanted)[:100], found=_listed(tables))
        return str(wanted), tables
    if nested := [n for n in inside if n.lower().endswith(ARCHIVES)]:
        raise Refused("reading.nested_archive", name=nested[0][:100])
    if len(tables) > 1:
        # Explanations beside the data are no second table.
        data = [n for n in tables if not n.lower().endswith(".txt")]
        tables = data or tables
    if not tables:
        raise Refused("reading.no_table_inside", found=_listed(inside))
    if len(tables) > 1:
        raise Refused("reading.several_members", found=_listed(tables))
    return tables[0], tables


def _listed(found: list[str]) -> str:
    shown = ", ".join(found[:12])[:400]
    return shown + (" …" if len(found) > 12 else "") or "—"
