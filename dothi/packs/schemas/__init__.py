"""JSON Schemas of a pack's files, for editors: they say while one types what `dothi pack check` says.

A schema knows the form of one file. What refers to another part of it or to another file, units,
patterns and SQL are the check's alone.
"""

from __future__ import annotations

from pathlib import Path

from dothi.kernel.errors import NotFound

_HERE = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in _HERE.glob("*.json")))


def text(name: str) -> str:
    """The schema of that name as JSON. Raises NotFound."""
    if name not in NAMES:
        raise NotFound("packs.no_schema", name=name, known=", ".join(NAMES))
    return (_HERE / f"{name}.json").read_text("utf-8")


def write(folder: Path) -> list[Path]:
    """All of them as files `NAME.json` of a folder; the files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in NAMES:
        path = folder / f"{name}.json"
        path.write_text(text(name), "utf-8")
        written.append(path)
    return written
