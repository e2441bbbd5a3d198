"""Which datasets are of stations: neither what people type nor what comes more seldom than daily."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dothi.ioc.figures import of_station
from dothi.lake.contract import parse_contract
from tests.contract import returns, world


@pytest.mark.parametrize(("rhythm", "station"), [("PT1H", True), ("P1D", True), ("P1M", False)])
def test_a_station_sends_at_least_daily(rhythm: str, station: bool) -> None:
    text = world.CONTRACT.format(name="gauges", owner=world.OURS, sharing="{public: false}")
    assert of_station(parse_contract(text.replace("PT1H", rhythm))) is station


def test_what_people_type_is_of_no_station() -> None:
    text = returns.CONTRACT.format(
        name="typed", owner=world.OURS, ours=world.OURS, others=world.OTHERS
    )
    typed = parse_contract(text)
    assert typed.form is not None and not of_station(typed)
    hourly = world.CONTRACT.format(name="gauges", owner=world.OURS, sharing="{public: false}")
    assert not of_station(replace(parse_contract(hourly), form=typed.form))
