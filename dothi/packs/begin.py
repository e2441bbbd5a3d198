"""Beginning a monitoring service: a folder that is sound from the first minute."""

from __future__ import annotations

import re
from pathlib import Path

from dothi.kernel.errors import Conflict, Fault, Invalid

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_HERE = Path(__file__).parent / "skeleton"


def begin(folder: Path, owner: str) -> list[Path]:
    """Write a pack that holds one dataset, one indicator and one case; the files written.

    `owner` is the code of the agency that answers for the data. Nothing is overwritten: raises
    Conflict where the folder exists, Invalid for a name that cannot be a pack's or an agency's.
    """
    faults = []
    if not _NAME.fullmatch(folder.name):
        faults.append(Fault(str(folder), "packs.bad_name", {"name": folder.name}))
    if not _CODE.fullmatch(owner):
        faults.append(Fault("--owner", "packs.bad_name", {"name": owner}))
    if faults:
        raise Invalid("packs.invalid", faults=faults)
    if folder.exists():
        raise Conflict("packs.folder_exists", folder=str(folder))
    words = {"PACK": folder.name, "NAME": folder.name.replace("-", "_"), "OWNER": owner}
    written = []
    for source in sorted(p for p in _HERE.rglob("*") if p.is_file()):
        name, text = str(source.relative_to(_HERE)), source.read_text("utf-8")
        for word, value in words.items():
            name, text = name.replace(f"_{word}_", value), text.replace(f"_{word}_", value)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        written.append(target)
    return written
