"""Everything wrong with pack folders, said at once: form, meaning, SQL, cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dothi.indicators import cases, dashboard, definition, score
from dothi.indicators.cases import Case, Subjects
from dothi.kernel.errors import Fault, Invalid
from dothi.lake.contract import Contract
from dothi.packs import load
from dothi.packs.model import Pack

KNOWN = ("pack.yaml", "README.md", "dashboard.yaml", "datasets", "indicators", "scores", "tests")
"""What a pack's folder may hold, beside files `demo*.yaml`."""
INSIDE = {"datasets": "*.yaml", "indicators": "*.sql", "scores": "*.sql", "tests": "*.yaml"}
"""What each of its folders may hold."""
LATER = frozenset({"alerts.yaml"})
"""Files that the language of packs knows and this version does not read."""


@dataclass(frozen=True)
class Checked:
    """Packs that hold together; their cases are read, not yet computed."""

    packs: tuple[Pack, ...]
    subjects: Subjects
    cases: tuple[Case, ...]


def check(folders: Sequence[Path], others: Sequence[Pack] = ()) -> Checked:
    """Read packs with all that is in them. `others` may be read by their indicators.

    Raises Invalid with every fault of all of them; what can only be judged once something else is
    right (the SQL over a dataset that cannot be read) is said in the next round.
    """
    faults: list[Fault] = []
    packs: list[Pack] = []
    for folder in folders:
        faults += _strangers(folder)
        try:
            packs.append(load.load(folder))
        except Invalid as error:
            faults += error.faults
    faults += load.claimed_twice([*packs, *others])
    definitions = scores = None
    if len(packs) == len(folders):
        try:
            definitions = definition.load(packs, _contracts(others))
        except Invalid as error:
            faults += error.faults
        try:
            scores = [one for pack in packs for one in score.load(pack)]
        except Invalid as error:
            faults += error.faults
    if definitions is not None and scores is not None:
        for pack in packs:
            try:
                dashboard.load(pack.folder, names_of(pack))
            except Invalid as error:
                faults += error.faults
    read: list[Case] = []
    subjects = Subjects([*packs, *others], definitions or (), scores or ())
    if definitions is not None and scores is not None:
        for pack in packs:
            try:
                read += cases.read(pack.folder, subjects)
            except Invalid as error:
                faults += error.faults
    if faults:
        raise Invalid("packs.invalid", faults=faults)
    return Checked(tuple(packs), subjects, tuple(read))


def untested(checked: Checked) -> list[str]:
    """Indicators and scores without a case, by name."""
    tested = {case.about.name for case in checked.cases}
    return sorted({*checked.subjects.definitions, *checked.subjects.scores} - tested)


def _contracts(packs: Iterable[Pack]) -> list[Contract]:
    return [contract for pack in packs for contract in pack.contracts]


def _strangers(folder: Path) -> list[Fault]:
    """Files that no part of dothi would read: a slip in a name must not pass in silence."""
    if not folder.is_dir():
        return [Fault(str(folder), "packs.no_folder", {"folder": str(folder)})]
    found = []
    for path in sorted(folder.iterdir()):
        if path.name in KNOWN or path.name.startswith(".") or path.match("demo*.yaml"):
            continue
        if path.name in LATER:
            found.append(Fault(str(path), "packs.not_read", {"name": path.name}))
            continue
        params = {"name": path.name, "known": ", ".join(KNOWN)}
        found.append(Fault(str(path), "packs.stranger", params))
    for name, pattern in INSIDE.items():
        place = folder / name
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if not path.name.startswith(".") and not (path.is_file() and path.match(pattern)):
                params = {"name": f"{name}/{path.name}", "pattern": f"{name}/{pattern}"}
                found.append(Fault(str(path), "packs.stranger_inside", params))
    return found


def names_of(pack: Pack) -> dashboard.Names:
    """What the pack's page may show."""
    return dashboard.Names(
        frozenset(file.name for file in pack.indicators),
        frozenset(file.name for file in pack.scores),
        frozenset(contract.name for contract in pack.contracts),
    )
