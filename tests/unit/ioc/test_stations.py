"""What datasets are of: stations send, neither by people nor more seldom than daily; agencies report;
and when each has what its rhythm promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from dothi.ioc.figures import Signal, of_station, sort_of
from dothi.kernel.time import VN
from dothi.lake.contract import parse_contract
from dothi.lake.registry import Dataset, Thing
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


def test_who_types_figures_reports_and_the_rest_is_only_watched() -> None:
    typed = parse_contract(
        returns.CONTRACT.format(
            name="typed", owner=world.OURS, ours=world.OURS, others=world.OTHERS
        )
    )
    hourly = world.CONTRACT.format(name="gauges", owner=world.OURS, sharing="{public: false}")
    of_units = parse_contract(hourly.replace("PT1H", "P1M") + "units: {key: station}\n")
    of_bodies = parse_contract(
        hourly.replace("PT1H", "P1M") + "units: {key: station, codes: agencies}\n"
    )
    assert sort_of(typed) == sort_of(of_bodies) == "reporters"
    assert sort_of(parse_contract(hourly)) == "stations"
    assert sort_of(of_units) == "units"
    assert sort_of(parse_contract(hourly.replace("PT1H", "P1M"))) == "things"


def test_a_month_is_there_when_the_last_that_ended_was_reported() -> None:
    """Not within hours of its beginning, as of a station: all through the month after it."""
    text = world.CONTRACT.format(name="gauges", owner=world.OURS, sharing="{public: false}")
    contract = parse_contract(text.replace("PT1H, stamp: end", "P1M"))
    dataset = Dataset(1, contract.name, contract, None, {})
    thing = Thing(1, ("A",), {}, None, None, None, {})

    def there(month: int, now: datetime) -> bool:
        seen = datetime(2026, month, 1, tzinfo=VN)
        return Signal(dataset, thing, seen, timedelta(hours=3), 1).online(now)

    assert there(10, datetime(2026, 11, 2, tzinfo=VN))
    assert there(10, datetime(2026, 11, 30, 23, tzinfo=VN))
    assert not there(9, datetime(2026, 11, 2, tzinfo=VN))
    assert not there(10, datetime(2026, 12, 1, tzinfo=VN))
