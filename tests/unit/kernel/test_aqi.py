"""VN_AQI gives the figures of the Decision's own examples, one by one and by the million alike."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dothi.kernel import aqi
from dothi.kernel.aqi import POLLUTANTS

NAN = float("nan")


@pytest.fixture(scope="module")
def oracle(shared: Path) -> dict[str, Any]:
    rows = json.loads((shared / "facts" / "oracles.json").read_text(encoding="utf-8"))["oracles"]
    return {row["id"]: row for row in rows}


def rounded(sub: dict[str, float]) -> dict[str, int]:
    return {pollutant: int(aqi.half_up(index)) for pollutant, index in sub.items()}


# -- the worked examples -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "field"), [("ENV-01", "nowcast_unrounded"), ("ENV-05", "normalised")]
)
def test_nowcast_of_the_examples(oracle: dict[str, Any], case: str, field: str) -> None:
    hours = oracle[case]["input"]["c1..c12"]
    expected = pytest.approx(oracle[case]["output"][field], abs=1e-4 if case == "ENV-01" else 1e-6)
    assert aqi.nowcast_of(hours) == expected
    assert float(aqi.nowcast(hours)) == expected
    assert aqi.nowcast_series(hours[::-1])[-1] == expected


def test_the_official_hour(oracle: dict[str, Any]) -> None:
    given_, out = oracle["ENV-02"]["input"], oracle["ENV-02"]["output"]
    hour = aqi.combine_of(
        {"O3_1h": given_["O3_1h"], "NO2": given_["NO2"], "PM2.5": given_["PM2.5_nowcast"]}
    )
    assert hour.value == out["AQI_h"] == 59  # the Decision prints 60: a misprint
    assert hour.dominant == "NO2"
    sub = {"O3": hour.sub["O3_1h"], "NO2": hour.sub["NO2"], "PM2.5": hour.sub["PM2.5"]}
    assert sub == pytest.approx(out["sub_unrounded"], abs=6e-4)
    assert {name: int(aqi.half_up(index or 0)) for name, index in sub.items()} == out["sub_half_up"]


def test_the_official_day(oracle: dict[str, Any]) -> None:
    given_, out = oracle["ENV-03"]["input"], oracle["ENV-03"]["output"]
    day = aqi.combine_of(
        {
            "O3_8h": given_["O3_8h_max"],
            "O3_1h": given_["O3_1h_max"],
            "NO2": given_["NO2_1h_max"],
            "PM2.5": given_["PM2.5_24h"],
        }
    )
    assert day.value == out["AQI_d"]
    assert day.dominant == out["dominant"]
    assert {p: day.sub[p] for p in day.sub} == pytest.approx(out["sub_unrounded"], abs=6e-4)
    of_day = aqi.category(day.value or -1)
    assert of_day.name("vi") == out["category"]
    assert ";".join(map(str, of_day.rgb)) == out["rgb"]


def test_carbon_monoxide_is_in_micrograms(oracle: dict[str, Any]) -> None:
    case = oracle["ENV-07"]
    index = aqi.sub_index_of("CO", case["output"]["CO_ug_m3"])
    assert rounded({"CO": index or 0})["CO"] == case["output"]["AQI_CO"]


def test_break_points_meet_and_500_is_the_end(oracle: dict[str, Any]) -> None:
    case = oracle["ENV-08"]
    concentrations = case["input"]["PM2.5"]
    assert aqi.sub_index("PM2.5", concentrations).tolist() == case["output"]["AQI"]
    assert [aqi.sub_index_of("PM2.5", c) for c in concentrations] == case["output"]["AQI"]


def test_without_particulates_there_is_no_index(oracle: dict[str, Any]) -> None:
    hour = aqi.combine_of({**oracle["ENV-10"]["input"]})
    assert hour.value is oracle["ENV-10"]["output"]["AQI"] is None
    assert hour.dominant is None
    assert hour.sub["O3_1h"] == 28.125  # each pollutant's own index still stands
    many = aqi.combine({"O3_1h": np.array([90.0]), "PM10": np.array([NAN])})
    assert np.isnan(many.value).all()
    assert many.dominant.tolist() == [-1]


# -- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pollutant", POLLUTANTS)
def test_every_break_point_has_its_index(pollutant: str) -> None:
    points = aqi.DECISION_1459.concentrations[pollutant]
    expected = list(aqi.DECISION_1459.index[: len(points)])
    assert aqi.sub_index(pollutant, points).tolist() == expected
    assert [aqi.sub_index_of(pollutant, c) for c in points] == expected


def test_eight_hour_ozone_above_400_is_left_to_the_hour() -> None:
    assert aqi.sub_index_of("O3_8h", 400) == 300
    assert aqi.sub_index_of("O3_8h", 400.1) is None
    assert np.isnan(aqi.sub_index("O3_8h", 400.1))
    day = aqi.combine_of({"PM10": 10, "O3_8h": 450, "O3_1h": 900})
    assert (day.value, day.dominant) == (350, "O3_1h")


def test_nowcast_needs_two_of_the_last_three_hours() -> None:
    assert aqi.nowcast_of([10, None, None, 10, 10, 10]) is None
    assert aqi.nowcast_of([None, 10, 20]) == pytest.approx((0.5 * 10 + 0.25 * 20) / 0.75)
    assert aqi.nowcast_of([]) is None
    assert aqi.nowcast_of([10, 10]) == 10


def test_gaps_do_not_pull_the_nowcast_down() -> None:
    hours = [30, None, 30, None, None, 30, None, None, None, None, None, 15]
    # Weights 1, 1/4, 1/32, 1/2048 for the hours that are there.
    expected = (30 + 30 / 4 + 30 / 32 + 15 / 2048) / (1 + 1 / 4 + 1 / 32 + 1 / 2048)
    assert aqi.nowcast_of(hours) == pytest.approx(expected)


def test_clean_air_is_zero_and_not_unknown() -> None:
    assert aqi.nowcast_of([0, 0, 0]) == 0
    assert aqi.nowcast_series(np.zeros(24))[1:].tolist() == [0] * 23
    assert aqi.combine_of({"PM2.5": 0}).value == 0


def test_values_below_zero_are_not_used() -> None:
    assert aqi.nowcast_of([20, -0.5, 20]) == aqi.nowcast_of([20, None, 20])
    assert aqi.sub_index_of("PM10", -1) is None
    assert np.isnan(aqi.sub_index("PM10", [-1, -999, np.inf])).all()
    grid = aqi.combine({"PM10": np.array([-1.0]), "NO2": np.array([50.0])})
    assert np.isnan(grid.value).all()


def test_halves_are_rounded_up_despite_binary_arithmetic() -> None:
    # Exact halves: PM2.5 of k/4 µg/m³ has the index k/2.
    for quarter in range(1, 100, 2):
        index = aqi.sub_index_of("PM2.5", quarter / 4)
        assert aqi.half_up(index or NAN) == (quarter + 1) // 2
    # And for every tenth of a µg/m³ of PM10 what whole-number arithmetic gives.
    tenths = np.arange(0, 6_200) / 10
    got = aqi.combine({"PM10": tenths}).value
    for tenth, value in enumerate(got.tolist()):
        assert value == exact_pm10(tenth)


def exact_pm10(tenth: int) -> int:
    """The rounded index in whole-number arithmetic."""
    points, index = aqi.DECISION_1459.concentrations["PM10"], aqi.DECISION_1459.index
    for low, high, start, end in zip(points, points[1:], index, index[1:], strict=False):
        if tenth <= high * 10:
            numerator, denominator = (end - start) * (tenth - low * 10), (high - low) * 10
            return start + (2 * numerator + denominator) // (2 * denominator)
    return 500


def test_an_unknown_pollutant_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        aqi.combine_of({"PM2.5": 10, "CO2": 400})
    with pytest.raises(KeyError):
        aqi.combine({"pm25": np.zeros(3)})


def test_of_equal_indices_the_particulates_lead() -> None:
    assert aqi.combine_of({"NO2": 100, "PM10": 50, "PM2.5": 25}).dominant == "PM2.5"
    grid = aqi.combine({"NO2": np.array([100.0]), "PM10": np.array([50.0])})
    assert POLLUTANTS[grid.dominant[0]] == "PM10"


def test_six_classes_cover_every_index() -> None:
    names = [aqi.category(value).name("vi") for value in (50, 51, 101, 151, 201, 301, 500, 501)]
    assert names == [
        "Tốt",
        "Trung bình",
        "Kém",
        "Xấu",
        "Rất xấu",
        "Nguy hại",
        "Nguy hại",
        "Nguy hại",
    ]
    assert aqi.category(50.4).code == "good"
    assert aqi.category(50.5).code == "moderate"
    for nonsense in (-1, NAN):
        with pytest.raises(ValueError, match="not an AQI"):
            aqi.category(nonsense)


# -- days ----------------------------------------------------------------------------------------


def test_a_day_takes_means_of_particulates_and_maxima_of_gases() -> None:
    hours = np.arange(24.0)
    day = aqi.daily({"PM2.5": hours * 2, "NO2": hours * 10, "CO": hours * 1_000})
    assert day.sub["PM2.5"].tolist() == [46.0]  # mean 23
    assert day.sub["NO2"].tolist() == [aqi.sub_index_of("NO2", 230)]
    assert day.sub["CO"].tolist() == [aqi.sub_index_of("CO", 23_000)]


def test_ozone_of_a_day_begins_at_eighteen_of_the_evening_before() -> None:
    # High ozone from 18:00 to 24:00 of the day before counts in the mean labelled 01:00.
    ozone = np.concatenate([np.full(7, 180.0), np.full(24, 20.0)])
    pm = np.full(31, 10.0)
    day = aqi.daily({"O3_1h": ozone, "PM10": pm}, lead_hours=7)
    assert day.sub["O3_8h"].tolist() == [aqi.sub_index_of("O3_8h", (7 * 180 + 20) / 8)]
    assert day.sub["O3_1h"].tolist() == [aqi.sub_index_of("O3_1h", 20)]
    assert day.value.tolist() == [140]
    # Without those hours the first 8-hour means are absent, and 19 of 24 are enough.
    alone = aqi.daily({"O3_1h": ozone[7:], "PM10": pm[7:]})
    assert alone.sub["O3_8h"].tolist() == [10.0]


@pytest.mark.parametrize(("present", "known"), [(18, True), (17, False)])
def test_a_day_needs_three_quarters_of_its_hours(present: int, known: bool) -> None:
    hours = np.full(24, NAN)
    hours[:present] = 25.0
    day = aqi.daily({"PM2.5": hours, "NO2": hours})
    assert (not np.isnan(day.value[0])) is known
    assert (not np.isnan(day.sub["NO2"][0])) is known
    assert aqi.daily({"PM2.5": hours}, min_hours=present).value.tolist() == [50.0]


def test_days_of_many_stations_stay_apart() -> None:
    hours = np.repeat(np.arange(6.0).reshape(2, 3), 24, axis=1)  # 2 stations, 3 days
    day = aqi.daily({"PM2.5": hours})
    assert day.value.tolist() == [[0, 2, 4], [6, 8, 10]]
    with pytest.raises(ValueError, match="whole days"):
        aqi.daily({"PM2.5": hours[:, :-1]})


# -- arrays and single numbers agree -------------------------------------------------------------

concentration = st.one_of(st.none(), st.floats(-5, 2_000).map(lambda c: round(c, 1)))


def array(values: list[float | None]) -> np.ndarray:
    return np.array([NAN if value is None else value for value in values], float)


def same(one: float | None, other: float) -> bool:
    return math.isnan(other) if one is None else one == other


@given(st.lists(concentration, min_size=1, max_size=60))
def test_a_series_is_its_hours_taken_one_by_one(values: list[float | None]) -> None:
    series = aqi.nowcast_series(array(values))
    for hour in range(len(values)):
        window = values[max(0, hour - 11) : hour + 1][::-1]
        assert same(aqi.nowcast_of(window), float(series[hour]))
        assert same(aqi.nowcast_of(window), float(aqi.nowcast(array(window))))


@given(st.dictionaries(st.sampled_from(POLLUTANTS), concentration))
def test_a_grid_is_its_hours_taken_one_by_one(values: dict[str, float | None]) -> None:
    one = aqi.combine_of(values)
    grid = aqi.combine({p: array([c]) for p, c in values.items()})
    scalar = aqi.combine({p: array([c])[0] for p, c in values.items()})
    if values:
        assert same(one.value, float(grid.value[0]))
        place = int(grid.dominant[0])
        assert one.dominant == (POLLUTANTS[place] if place >= 0 else None)
    assert same(one.value, float(scalar.value))
    assert all(same(one.sub[p], float(grid.sub[p][0])) for p in one.sub)


@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(12, 80)),
        elements=st.one_of(st.just(NAN), st.floats(0, 600)),
    ),
    st.data(),
)
def test_hours_computed_again_from_a_part_equal_the_whole(
    values: np.ndarray, data: st.DataObject
) -> None:
    n = values.shape[1]
    start = data.draw(st.integers(11, n - 1))
    end = data.draw(st.integers(start + 1, n))
    whole = aqi.hourly({"PM2.5": values, "NO2": values})
    part = aqi.hourly({"PM2.5": values[:, start - 11 : end], "NO2": values[:, start - 11 : end]})
    np.testing.assert_array_equal(part.value[:, 11:], whole.value[:, start:end])
    np.testing.assert_array_equal(part.dominant[:, 11:], whole.dominant[:, start:end])
    np.testing.assert_array_equal(part.sub["PM2.5"][:, 11:], whole.sub["PM2.5"][:, start:end])


def test_long_series_are_the_same_across_the_blocks_they_are_worked_in() -> None:
    rng = np.random.default_rng(20250101)
    values = rng.gamma(2, 20, (3, 20_000))
    values[rng.random(values.shape) < 0.1] = NAN
    whole = aqi.nowcast_series(values)
    for hour in (*range(8_180, 8_210), 16_384, 19_999):
        window = values[:, hour - 11 : hour + 1][:, ::-1]
        np.testing.assert_array_equal(whole[:, hour], aqi.nowcast(window))


@given(st.lists(st.floats(0, 900), min_size=2, max_size=12))
def test_a_nowcast_lies_between_the_smallest_and_the_largest_hour(values: list[float]) -> None:
    got = aqi.nowcast_of(values)
    assert got is not None
    assert min(values) * (1 - 1e-12) <= got <= max(values) * (1 + 1e-12)


@given(st.sampled_from(POLLUTANTS), st.floats(0, 400), st.floats(0, 400))
def test_dirtier_air_never_has_a_smaller_index(pollutant: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert (aqi.sub_index_of(pollutant, low) or 0) <= (aqi.sub_index_of(pollutant, high) or 0)


def test_sliding_means_do_not_drift() -> None:
    values = np.concatenate([np.full(50, 1e6), np.full(50, 0.1)])
    assert aqi.mean_series(values, 8, 6)[-1] == pytest.approx(0.1, rel=1e-15)
    gaps = np.array([1.0, NAN, 3.0, NAN, 5.0, 6.0, 7.0, 8.0])
    assert aqi.mean_series(gaps, 8, 6)[-1] == 5.0
    assert np.isnan(aqi.mean_series(gaps, 8, 7)).all()
