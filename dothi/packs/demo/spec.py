"""What a `demo.yaml` says: agencies, accounts, stations, and what their air depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dothi.identity.model import STAFF_ROLES, Agency, Role
from dothi.kernel.noise import AREAS
from dothi.kernel.text import nfc
from dothi.lake.document import Place, Reading
from dothi.packs.load import shipped

STEP_S = 300
RHYTHMS = {"PT5M": 1, "PT15M": 3, "PT1H": 12}
"""How often stations may report, and how many steps that is."""
FILES = ("demo.yaml", "demo_water.yaml", "demo_noise.yaml")
"""What the demonstration measures, a file for each dataset; the first one's agencies are those of all."""
CURVES = ("traffic", "work", "night", "sun", "breeze", "cooking")
"""Causes that follow the hour of the day."""
SKY = ("weather", "smog", "rain", "winter")
"""Causes that all stations share."""
EFFECTS = (*CURVES, *SKY, "local", "noise")

_DOCUMENT = {
    "dataset", "seed", "rhythm", "agencies", "accounts", "curves", "week", "pollutants",
    "profiles", "faults", "stations",
}  # fmt: skip
_STATION = {
    "code", "name", "at", "commune", "agency", "profile", "level", "steady", "frozen", "drift",
    "area",
}  # fmt: skip


@dataclass(frozen=True)
class DemoAccount:
    """An account of the demonstration, by role. It has no password until it is given one."""

    login: str
    display_name: str
    agency: str
    role: Role


@dataclass(frozen=True)
class Pollutant:
    """A measured quantity: its level in the contract's unit when nothing happens, and what each cause
    does to it, as the logarithm of a factor. `spike` is the reading of a faulty instrument."""

    name: str
    level: float
    effects: Mapping[str, float]
    decimals: int
    spike: float | None


@dataclass(frozen=True)
class Profile:
    """A kind of place: factors on the levels by pollutant, and how much it feels of each cause."""

    level: Mapping[str, float]
    feels: Mapping[str, float]


@dataclass(frozen=True)
class Station:
    """A station. `agency` is the owner's code, `commune` the name of its commune. `steady`, `frozen`
    and `drift` as in `demo.yaml`. `area`: the kind of area whose limits of noise hold there."""

    code: str
    name: dict[str, str]
    lon: float
    lat: float
    commune: str
    agency: str
    profile: str
    level: Mapping[str, float]
    steady: float = 0.0
    frozen: frozenset[str] = frozenset()
    drift: Mapping[str, float] | None = None
    area: str | None = None


@dataclass(frozen=True)
class Faults:
    """What goes wrong: the hour at which a station falls silent, shares of the rest."""

    silent_from: float
    gaps: float
    negative: float
    spike: float


@dataclass(frozen=True)
class Spec:
    """A demonstration, checked. Curves hold 24 strengths, weeks seven from Monday. Stations report
    every `every` steps."""

    dataset: str
    seed: int
    rhythm: str
    every: int
    agencies: tuple[Agency, ...]
    accounts: tuple[DemoAccount, ...]
    curves: Mapping[str, tuple[float, ...]]
    week: Mapping[str, tuple[float, ...]]
    pollutants: tuple[Pollutant, ...]
    profiles: Mapping[str, Profile]
    faults: Faults
    stations: tuple[Station, ...]


def demo_spec() -> Spec:
    """The shipped demonstration of the air, with the agencies and accounts of all."""
    return demo_specs()[0]


@cache
def demo_specs() -> tuple[Spec, ...]:
    """The shipped demonstrations: air, water, noise."""
    folder = shipped() / "environment"
    air = read_spec(folder / FILES[0])
    return (air, *(read_spec(folder / name, air.agencies) for name in FILES[1:]))


def demo_agencies() -> tuple[Agency, ...]:
    """The demonstration's agencies, each after the one above it."""
    return demo_spec().agencies


def demo_accounts() -> tuple[DemoAccount, ...]:
    """The demonstration's accounts: one for each role that a person can have in the pack."""
    return demo_spec().accounts


def read_spec(path: Path, agencies: tuple[Agency, ...] = ()) -> Spec:
    """Read and check a demonstration whose stations may belong to `agencies` and to its own.

    Raises Invalid with every fault, each at line and column.
    """
    reading = Reading.of(path)
    reading.finish()
    doc = reading.mapping(reading.root, (), known=_DOCUMENT)
    rhythm = reading.choice(doc, (), "rhythm", tuple(RHYTHMS))
    own = _agencies(reading, doc)
    codes = tuple(agency.code for agency in (*agencies, *own))
    pollutants = _pollutants(reading, doc)
    names = {pollutant.name for pollutant in pollutants}
    profiles = {
        name: _profile(reading, entry, place, names)
        for place, name, entry in reading.items(doc.get("profiles"), ("profiles",))
    }
    spec = Spec(
        dataset=reading.text(doc, (), "dataset", None),
        seed=int(reading.number(doc.get("seed", 0), ("seed",)) or 0),
        rhythm=rhythm,
        every=RHYTHMS.get(rhythm, 1),
        agencies=own,
        accounts=_accounts(reading, doc, codes),
        curves=_rows(reading, doc, "curves", 24),
        week=_rows(reading, doc, "week", 7),
        pollutants=pollutants,
        profiles=profiles,
        faults=_faults(reading, doc),
        stations=_stations(reading, doc, codes, tuple(profiles), names),
    )
    for name in CURVES:
        if name not in spec.curves:
            reading.fault(("curves",), "lake.yaml_missing", name=name)
    reading.finish("demo.invalid")
    return spec


def _agencies(reading: Reading, doc: dict[str, Any]) -> tuple[Agency, ...]:
    found: list[Agency] = []
    for i, entry in enumerate(reading.sequence(doc.get("agencies", []), ("agencies",))):
        place: Place = ("agencies", i)
        entry = reading.mapping(entry, place, known={"code", "name", "parent"})
        code = reading.text(entry, place, "code", None)
        _once(reading, place, code, [agency.code for agency in found])
        name = reading.titles(entry, place, "name")
        parent = None
        if "parent" in entry:
            parent = reading.choice(entry, place, "parent", tuple(a.code for a in found) or ("",))
        found.append(Agency(code, nfc(name["vi"]), name["en"], parent))
    return tuple(found)


def _accounts(
    reading: Reading, doc: dict[str, Any], agencies: tuple[str, ...]
) -> tuple[DemoAccount, ...]:
    found: list[DemoAccount] = []
    roles = tuple(sorted(role.value for role in STAFF_ROLES))
    for i, entry in enumerate(reading.sequence(doc.get("accounts", []), ("accounts",))):
        place: Place = ("accounts", i)
        entry = reading.mapping(entry, place, known={"login", "name", "agency", "role"})
        login = reading.text(entry, place, "login", None)
        _once(reading, place, login, [account.login for account in found])
        found.append(
            DemoAccount(
                login=login,
                display_name=nfc(reading.text(entry, place, "name", None)),
                agency=reading.choice(entry, place, "agency", agencies),
                role=Role(reading.choice(entry, place, "role", roles)),
            )
        )
    return tuple(found)


def _pollutants(reading: Reading, doc: dict[str, Any]) -> tuple[Pollutant, ...]:
    found = []
    for place, name, entry in reading.items(doc.get("pollutants"), ("pollutants",)):
        entry = _numbers(reading, entry, place, {"level", "decimals", "spike", *EFFECTS})
        for needed in ("level", *EFFECTS):
            if needed not in entry:
                reading.fault(place, "lake.yaml_missing", name=needed)
        level = entry.get("level", 1.0)
        if not level > 0:
            reading.fault((*place, "level"), "demo.not_positive", name="level")
            level = 1.0
        effects = {effect: entry.get(effect, 0.0) for effect in EFFECTS}
        decimals = int(entry.get("decimals", 1))
        found.append(Pollutant(name, level, effects, decimals, entry.get("spike")))
    return tuple(found)


def _profile(reading: Reading, value: Any, place: Place, pollutants: set[str]) -> Profile:
    entry = dict(reading.mapping(value, place))
    level = _numbers(reading, entry.pop("level", {}), (*place, "level"), pollutants)
    feels = _numbers(reading, entry, place, {*EFFECTS, "level"})
    return Profile(level, {effect: feels.get(effect, 1.0) for effect in EFFECTS})


def _faults(reading: Reading, doc: dict[str, Any]) -> Faults:
    known = {"silent_from", "gaps", "negative", "spike"}
    entry = _numbers(reading, doc.get("faults"), ("faults",), known)
    return Faults(**{name: entry.get(name, 0.0) for name in sorted(known)})


def _stations(
    reading: Reading,
    doc: dict[str, Any],
    agencies: tuple[str, ...],
    profiles: tuple[str, ...],
    pollutants: set[str],
) -> tuple[Station, ...]:
    found: list[Station] = []
    for i, entry in enumerate(reading.sequence(doc.get("stations"), ("stations",))):
        place: Place = ("stations", i)
        entry = reading.mapping(entry, place, known=_STATION)
        code = reading.text(entry, place, "code", None)
        _once(reading, place, code, [station.code for station in found])
        at = [reading.number(x, (*place, "at")) for x in reading.sequence(entry.get("at"), place)]
        if len(at) != 2 or None in at:
            reading.fault((*place, "at"), "demo.bad_position")
        frozen = reading.sequence(entry.get("frozen", []), (*place, "frozen"))
        for name in frozen:
            if name not in pollutants:
                reading.fault((*place, "frozen"), "demo.no_pollutant", name=str(name))
        found.append(
            Station(
                code=code,
                name={k: nfc(v) for k, v in reading.titles(entry, place, "name").items()},
                lon=at[0] or 0.0 if at else 0.0,
                lat=at[-1] or 0.0 if at else 0.0,
                commune=nfc(reading.text(entry, place, "commune", None)),
                agency=reading.choice(entry, place, "agency", agencies),
                profile=reading.choice(entry, place, "profile", profiles),
                level=_numbers(reading, entry.get("level", {}), (*place, "level"), pollutants),
                steady=reading.number(entry.get("steady"), (*place, "steady")) or 0.0,
                frozen=frozenset(str(name) for name in frozen),
                drift=_numbers(reading, entry.get("drift", {}), (*place, "drift"), pollutants),
                area=reading.choice(entry, place, "area", AREAS) if "area" in entry else None,
            )
        )
    return tuple(found)


def _rows(
    reading: Reading, doc: dict[str, Any], name: str, length: int
) -> dict[str, tuple[float, ...]]:
    found = {}
    for place, key, entry in reading.items(doc.get(name), (name,)):
        if key not in CURVES:
            reading.fault(place, "lake.yaml_unknown_key", name=key, known=", ".join(CURVES))
        row = [reading.number(x, (*place, i)) for i, x in enumerate(reading.sequence(entry, place))]
        if len(row) != length:
            reading.fault(place, "demo.row_length", name=key, count=length)
            row = [0.0] * length
        found[key] = tuple(x or 0.0 for x in row)
    return found


def _numbers(reading: Reading, value: Any, place: Place, known: set[str]) -> dict[str, float]:
    entry = reading.mapping(value, place, known=known)
    return {name: reading.number(x, (*place, name)) or 0.0 for name, x in entry.items()}


def _once(reading: Reading, place: Place, name: str, before: list[str]) -> None:
    if name in before:
        reading.fault(place, "demo.twice", name=name)
