"""Beginning a monitoring service: a folder that is sound from the first minute."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from dothi.kernel.errors import Conflict, Fault, Invalid
from dothi.lake.contract import Contract, read_contract

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_HERE = Path(__file__).parent
_SKELETON, _OF_CONTRACT = _HERE / "skeleton", _HERE / "skeleton_of_contract"


def begin(folder: Path, owner: str) -> list[Path]:
    """Write a pack that holds one dataset, one indicator and one case; the files written.

    `owner` is the code of the agency that answers for the data. Nothing is overwritten: raises
    Conflict where the folder exists, Invalid for a name that cannot be a pack's or an agency's.
    """
    faults = _bad_name(folder)
    if not _CODE.fullmatch(owner):
        faults.append(Fault("--owner", "packs.bad_name", {"name": owner}))
    if faults:
        raise Invalid("packs.invalid", faults=faults)
    words = {"PACK": folder.name, "NAME": folder.name.replace("-", "_"), "OWNER": owner}
    return _write(_files(_SKELETON, words), folder)


def begin_with(folder: Path, contract: Path) -> list[Path]:
    """Write a pack around a contract that is there: its dataset, and for a series the mean of the
    day of its first parameter with a case. Raises as `begin` and `read_contract` do."""
    if faults := _bad_name(folder):
        raise Invalid("packs.invalid", faults=faults)
    read = read_contract(contract)
    files = _files(_OF_CONTRACT, _words(folder.name, read))
    if read.kind != "series":
        # Figures are made of series; records are counted by scores, which nobody can guess.
        files = {name: text for name, text in files.items() if "/" not in name}
    files[f"datasets/{read.name}.yaml"] = read.source
    return _write(files, folder)


def _bad_name(folder: Path) -> list[Fault]:
    if _NAME.fullmatch(folder.name):
        return []
    return [Fault(str(folder), "packs.bad_name", {"name": folder.name})]


def _words(pack: str, contract: Contract) -> dict[str, str]:
    """What stands in the skeleton's gaps for a contract."""
    words = {
        "PACK": pack, "NAME": contract.name, "OWNER": contract.owner, "TITLE": _flow(contract.title),
    }  # fmt: skip
    if contract.kind != "series" or contract.time is None:
        return words
    first = contract.parameters[0]
    low = first.low if first.low is not None else 0.0 if first.high is None else first.high - 4
    high = first.high if first.high is not None else low + 4
    low, high = low + (high - low) / 4, high - (high - low) / 4
    return words | {
        "KEY": ", ".join(column.name for column in contract.key),
        "THING": ", ".join(f"{column.name}: A" for column in contract.key),
        "PARAMETER_TITLE": _flow(first.title),
        "PARAMETER": first.name,
        "UNIT": _flow(first.unit),
        "DECIMALS": str(first.decimals),
        "ZONE": contract.time.zone,
        "LOW": repr(low),
        "HIGH": repr(high),
        "MEAN": repr((low + high) / 2),
    }


def _flow(value: object) -> str:
    """A value on one line of YAML, whatever signs it holds."""
    return json.dumps(value, ensure_ascii=False)


def _files(skeleton: Path, words: Mapping[str, str]) -> dict[str, str]:
    """The skeleton's files by name, its gaps filled."""
    # One pass over all words: what is filled in is not looked through for gaps again.
    gap = re.compile("|".join(f"_{word}_" for word in sorted(words, key=len, reverse=True)))

    def filled(text: str) -> str:
        return gap.sub(lambda found: words[found[0][1:-1]], text)

    sources: Iterable[Path] = sorted(p for p in skeleton.rglob("*") if p.is_file())
    return {
        filled(source.relative_to(skeleton).as_posix()): filled(source.read_text("utf-8"))
        for source in sources
    }


def _write(files: Mapping[str, str], folder: Path) -> list[Path]:
    if folder.exists():
        raise Conflict("packs.folder_exists", folder=str(folder))
    written = []
    for name, text in sorted(files.items()):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        written.append(target)
    return written
