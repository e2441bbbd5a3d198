"""Units of measurement: how they are spelt, what they measure, how they convert.

A unit is a factor (and for temperatures an offset) to the base unit of its dimension, kept as exact
fractions, so a conversion is rounded once, at the end.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from dothi.kernel.errors import Invalid


@dataclass(frozen=True)
class Unit:
    """A unit; `symbol` is its spelling on the screen. Value in base = value · factor + offset."""

    symbol: str
    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


@dataclass(frozen=True)
class Conversion:
    """target = source · factor + offset, for single numbers, arrays and SQL alike."""

    factor: float
    offset: float


# (symbol, dimension, factor, other spellings). Spellings are compared after `_plain`, so
# µ/μ/u, ³/3/^3 and blanks need no spelling of their own.
_UNITS: tuple[tuple[str, str, str, str], ...] = (
    ("µg/m³", "mass concentration", "1", "ugm-3 mcg/m3"),
    ("ng/m³", "mass concentration", "1/1000", "ngm-3"),
    ("mg/m³", "mass concentration", "1000", "mgm-3"),
    ("g/m³", "mass concentration", "1000000", "gm-3"),
    ("µg/L", "mass concentration", "1000", ""),
    ("mg/L", "mass concentration", "1000000", ""),
    ("g/L", "mass concentration", "1000000000", ""),
    ("ppb", "mole fraction", "1", "nmol/mol"),
    ("ppm", "mole fraction", "1000", "umol/mol"),
    ("%", "ratio", "1/100", "percent pct phantram"),
    ("‰", "ratio", "1/1000", "permille"),
    ("1", "ratio", "1", "ratio"),
    ("m", "length", "1", "meter metre"),
    ("mm", "length", "1/1000", ""),
    ("cm", "length", "1/100", ""),
    ("km", "length", "1000", ""),
    ("mm/h", "rain rate", "1", "mm/gio"),
    ("m²", "area", "1", "sqm"),
    ("ha", "area", "10000", ""),
    ("km²", "area", "1000000", "sqkm"),
    ("m³", "volume", "1", ""),
    ("L", "volume", "1/1000", "lit litre liter"),
    ("m³/s", "flow", "1", "m3s-1 cms"),
    ("m³/h", "flow", "1/3600", "m3/gio"),
    ("m³/d", "flow", "1/86400", "m3/day m3/ngay"),
    ("L/s", "flow", "1/1000", ""),
    ("m/s", "speed", "1", "ms-1"),
    ("km/h", "speed", "5/18", "kmh kph"),
    ("kn", "speed", "463/900", "knot knots kt"),
    ("kg", "mass", "1", ""),
    ("g", "mass", "1/1000", ""),
    ("t", "mass", "1000", "tan tonne"),
    ("s", "time", "1", "sec"),
    ("min", "time", "60", "phut"),
    ("h", "time", "3600", "gio hour"),
    ("d", "time", "86400", "ngay day"),
    ("Pa", "pressure", "1", ""),
    ("hPa", "pressure", "100", "mbar"),
    ("kPa", "pressure", "1000", ""),
    ("bar", "pressure", "100000", ""),
    ("mmHg", "pressure", "101325/760", ""),
    ("W", "power", "1", ""),
    ("kW", "power", "1000", ""),
    ("MW", "power", "1000000", ""),
    ("Wh", "energy", "1", ""),
    ("kWh", "energy", "1000", ""),
    ("MWh", "energy", "1000000", ""),
    ("V", "voltage", "1", ""),
    ("A", "current", "1", ""),
    ("Hz", "frequency", "1", ""),
    ("W/m²", "irradiance", "1", ""),
    ("lx", "illuminance", "1", "lux"),
    ("dB(A)", "sound level", "1", "dBA"),
    ("dB", "level", "1", ""),
    ("dBm", "signal level", "1", ""),
    ("°", "angle", "1", "deg degree"),
    ("pH", "acidity", "1", ""),
    ("NTU", "turbidity", "1", ""),
    ("µS/cm", "conductivity", "1", ""),
    ("mS/cm", "conductivity", "1000", ""),
    ("MPN/100 mL", "bacteria", "1", ""),
    ("CFU/100 mL", "colonies", "1", ""),
    ("count", "count", "1", "pcs dem"),
)
# (symbol, factor, offset to kelvin, other spellings)
_TEMPERATURES: tuple[tuple[str, str, str, str], ...] = (
    ("K", "1", "0", "kelvin"),
    ("°C", "1", "273.15", "C degC celsius"),
    ("°F", "5/9", "45967/180", "F degF fahrenheit"),
)

# IUPAC abridged standard atomic weights (2021), g/mol.
_ATOMIC_WEIGHTS = {"C": "12.011", "N": "14.007", "O": "15.999", "S": "32.06"}
_SUBSTANCES: dict[str, dict[str, int]] = {
    "SO2": {"S": 1, "O": 2},
    "NO2": {"N": 1, "O": 2},
    "NO": {"N": 1, "O": 1},
    "CO": {"C": 1, "O": 1},
    "O3": {"O": 3},
}
# R·T/P at 25 °C and 760 mmHg, the reference state of QCVN 05:2023/BTNMT (in force 12/09/2023), in
# L/mol; R by CODATA 2018.
_MOLAR_VOLUME = Fraction("8.31446261815324") * Fraction("298.15") / Fraction("101325") * 1000


def unit(spelling: str) -> Unit:
    """The unit somebody wrote; Invalid, with near spellings, for one we do not know."""
    exact, folded = _index()
    plain = _plain(spelling)
    found = exact.get(plain) or folded.get(plain.casefold())
    if found is not None:
        return found
    close = difflib.get_close_matches(plain.casefold(), folded, n=6, cutoff=0.6)
    near = list(dict.fromkeys(folded[name].symbol for name in close))[:3]
    if near:
        raise Invalid("kernel.unknown_unit_near", unit=spelling, near=", ".join(near))
    raise Invalid("kernel.unknown_unit", unit=spelling)


def conversion(source: str, target: str, substance: str | None = None) -> Conversion:
    """How values in one unit become values in another.

    Between ppb or ppm and a mass concentration it is that of the named gas at 25 °C and 760 mmHg.
    Invalid where the units measure different things or the substance is missing or unknown.
    """
    factor, offset = _exact(source, target, substance)
    return Conversion(float(factor), float(offset))


def convert(value: float, source: str, target: str, substance: str | None = None) -> float:
    """The value in another unit, rounded once; see `conversion`."""
    factor, offset = _exact(source, target, substance)
    return float(Fraction(value) * factor + offset)


@cache
def molar_mass(substance: str) -> Fraction:
    """Molar mass in g/mol of a gas we convert."""
    atoms = _SUBSTANCES[substance]
    return sum((Fraction(_ATOMIC_WEIGHTS[atom]) * n for atom, n in atoms.items()), Fraction(0))


@cache
def _exact(source: str, target: str, substance: str | None) -> tuple[Fraction, Fraction]:
    here, there = unit(source), unit(target)
    if here.dimension == there.dimension:
        return here.factor / there.factor, (here.offset - there.offset) / there.factor
    gas = {"mole fraction", "mass concentration"}
    if {here.dimension, there.dimension} != gas:
        raise Invalid("kernel.units_differ", source=here.symbol, target=there.symbol)
    if substance not in _SUBSTANCES:
        known = ", ".join(_SUBSTANCES)
        raise Invalid(
            "kernel.substance_needed", source=here.symbol, target=there.symbol, known=known
        )
    # 1 ppb of a gas is M/Vm µg/m³: both dimensions have that as their base.
    micrograms_per_ppb = molar_mass(substance) / _MOLAR_VOLUME
    ratio = here.factor / there.factor
    if here.dimension == "mole fraction":
        return ratio * micrograms_per_ppb, Fraction(0)
    return ratio / micrograms_per_ppb, Fraction(0)


@cache
def _index() -> tuple[dict[str, Unit], dict[str, Unit]]:
    """Units by plain spelling, and by case-folded spelling where that is not ambiguous."""
    exact: dict[str, Unit] = {}
    for symbol, dimension, factor, others in _UNITS:
        made = Unit(symbol, dimension, Fraction(factor))
        _enter(exact, made, [symbol, *others.split()])
    for symbol, factor, offset, others in _TEMPERATURES:
        made = Unit(symbol, "temperature", Fraction(factor), Fraction(offset))
        _enter(exact, made, [symbol, *others.split()])
    by_case: dict[str, set[Unit]] = {}
    for spelling, made in exact.items():
        by_case.setdefault(spelling.casefold(), set()).add(made)
    return exact, {name: units.pop() for name, units in by_case.items() if len(units) == 1}


def _enter(index: dict[str, Unit], made: Unit, spellings: Iterable[str]) -> None:
    for spelling in spellings:
        plain = _plain(spelling)
        if index.setdefault(plain, made) != made:
            raise ValueError(f"{spelling} is a spelling of {index[plain].symbol} already")


_MARKS = str.maketrans(
    {"µ": "u", "μ": "u", "³": "3", "²": "2", "º": "°", "^": "", "·": "", "*": ""}
)


def _plain(spelling: str) -> str:
    return "".join(spelling.split()).translate(_MARKS)
