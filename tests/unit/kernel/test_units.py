"""Units are recognised however they are spelt, and convert exactly."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel import units
from dothi.kernel.errors import Invalid
from dothi.kernel.units import conversion, convert, unit

SYMBOLS = [symbol for symbol, *_ in (*units._UNITS, *units._TEMPERATURES)]


@pytest.mark.parametrize(
    ("spelling", "symbol"),
    [
        ("ug/m3", "µg/m³"),
        ("UG/M3", "µg/m³"),
        ("μg/m³", "µg/m³"),  # the Greek letter instead of the micro sign
        ("µg / m^3", "µg/m³"),
        ("mg/m3", "mg/m³"),
        ("MG/M3", "mg/m³"),
        ("ng/m3", "ng/m³"),
        ("PPB", "ppb"),
        ("%", "%"),
        ("degC", "°C"),
        ("ºC", "°C"),  # the ordinal sign
        ("m3/s", "m³/s"),
        ("dBA", "dB(A)"),
        ("km/h", "km/h"),
        ("MW", "MW"),
    ],
)
def test_spellings_have_one_form_on_the_screen(spelling: str, symbol: str) -> None:
    assert unit(spelling).symbol == symbol


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_unit_is_known_by_its_own_symbol(symbol: str) -> None:
    assert unit(symbol).symbol == symbol
    assert convert(1.5, symbol, symbol) == 1.5


def test_an_unknown_unit_is_named_with_near_ones() -> None:
    with pytest.raises(Invalid, match=r"“ug/m33”.*µg/m³"):
        unit("ug/m33")
    with pytest.raises(Invalid, match="“furlong per fortnight”"):
        unit("furlong per fortnight")


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (12.0, "mg/m3", "ug/m3", 12_000.0),
        (0.1, "mg/m3", "µg/m³", 100.0),
        (25.0, "°C", "K", 298.15),
        (212.0, "°F", "°C", 100.0),
        (0.0, "K", "°C", -273.15),
        (90.0, "km/h", "m/s", 25.0),
        (1.0, "kn", "km/h", 1.852),
        (760.0, "mmHg", "hPa", 1013.25),
        (3600.0, "m3/h", "m3/s", 1.0),
        (1.0, "mg/L", "ug/m3", 1e6),
        (45.0, "%", "1", 0.45),
    ],
)
def test_conversions_are_exact(value: float, source: str, target: str, result: float) -> None:
    assert convert(value, source, target) == result


@pytest.mark.parametrize(
    ("substance", "micrograms"), [("O3", 1.962), ("NO2", 1.880), ("SO2", 2.618), ("CO", 1.145)]
)
def test_a_ppb_of_a_gas_weighs_what_tables_say_at_25_degrees(
    substance: str, micrograms: float
) -> None:
    assert convert(1, "ppb", "µg/m³", substance) == pytest.approx(micrograms, abs=0.0015)
    assert convert(1, "ppm", "mg/m³", substance) == pytest.approx(micrograms, abs=0.0015)


def test_a_mole_fraction_of_an_unnamed_gas_has_no_mass() -> None:
    for substance in (None, "PM2.5"):
        with pytest.raises(Invalid, match="SO2, NO2"):
            convert(1, "ppb", "ug/m3", substance)


def test_different_things_do_not_convert() -> None:
    with pytest.raises(Invalid, match="different things"):
        convert(1, "m", "kg")
    with pytest.raises(Invalid):
        convert(1, "dB", "dB(A)")


@given(st.floats(-1e9, 1e9), st.sampled_from(SYMBOLS), st.sampled_from(SYMBOLS))
def test_there_and_back_is_the_same_value(value: float, source: str, target: str) -> None:
    try:
        there = convert(value, source, target, "NO2")
    except Invalid:
        return
    back = convert(there, target, source, "NO2")
    assert back == pytest.approx(value, rel=1e-12, abs=1e-9)
    rule = conversion(source, target, "NO2")
    assert value * rule.factor + rule.offset == pytest.approx(there, rel=1e-12, abs=1e-9)


@given(st.text(max_size=12))
def test_any_text_is_a_unit_or_invalid(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert unit(text).symbol in SYMBOLS


def test_carbon_monoxide_comes_in_milligrams_and_is_judged_in_micrograms(shared: Path) -> None:
    oracles = json.loads((shared / "facts" / "oracles.json").read_text())["oracles"]
    case = next(one for one in oracles if one["id"] == "ENV-07")
    assert convert(case["input"]["CO_mg_m3"], "mg/m3", "ug/m3") == case["output"]["CO_ug_m3"]
