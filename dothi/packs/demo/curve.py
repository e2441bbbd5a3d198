"""The air of the demonstration: a value is a function of station, pollutant and time alone.

Nothing is drawn in sequence. Chance is a hash of what it is for and of the step of time, so any
stretch can be computed alone and meets its neighbours exactly. Time is counted in steps of five
minutes since 1970; a value carries the end of its five minutes. Stations that report less often
report some of these values. Water and noise are made up as the air is, with other numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dothi.kernel.zone import VN
from dothi.packs.demo.spec import CURVES, SKY, STEP_S, Pollutant, Spec, Station

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

HOUR = 3600 // STEP_S
DAY = 24 * HOUR
# Vietnamese clocks have stood still at UTC+7 since 1975.
_AHEAD = 7 * HOUR
_SMOG_EVERY = 12 * DAY
_GAP_EVERY = 5 * DAY
_FROZEN_EVERY = 9 * DAY
_CALIBRATED_EVERY = 120 * DAY


@dataclass(frozen=True)
class History:
    """Values in columns of equal length, station by station, pollutant by pollutant, by time.

    `station` and `pollutant` are places in the specification's lists, `at` is UTC. What is absent
    has no row.
    """

    station: NDArray[np.int16]
    pollutant: NDArray[np.int16]
    at: NDArray[np.datetime64]
    value: Floats

    def __len__(self) -> int:
        return len(self.value)


def history(
    spec: Spec,
    until: datetime,
    days: float = 120,
    *,
    after: Mapping[str, datetime] | None = None,
) -> History:
    """All values of the `days` before an instant, itself included.

    `after`: for a station's code the instant up to which its values are left out.
    """
    last = step_of(until)
    first = last - round(days * DAY) + 1
    begins = {code: step_of(at) + 1 for code, at in (after or {}).items()}
    starts = [max(first, begins.get(station.code, first)) for station in spec.stations]
    parts: list[tuple[int, int, Steps, Floats]] = []
    clocks: dict[int, Clock] = {}
    for place, station in enumerate(spec.stations):
        reported = _reported(spec, starts[place], last)
        if not len(reported):
            continue
        clock = clocks.get(starts[place])
        if clock is None:
            clock = clocks[starts[place]] = Clock(spec, reported)
        for number, value in enumerate(measured(spec, station, clock)):
            there = ~np.isnan(value)
            parts.append((place, number, clock.steps[there], value[there]))
    if not parts:
        nothing = np.empty(0, np.int16)
        return History(nothing, nothing, np.empty(0, "datetime64[us]"), np.empty(0))
    sizes = [len(steps) for _, _, steps, _ in parts]
    steps = np.concatenate([steps for _, _, steps, _ in parts])
    steps *= STEP_S * 1_000_000
    return History(
        station=np.repeat(np.array([p for p, _, _, _ in parts], np.int16), sizes),
        pollutant=np.repeat(np.array([n for _, n, _, _ in parts], np.int16), sizes),
        at=steps.view("datetime64[us]"),
        value=np.concatenate([value for _, _, _, value in parts]),
    )


def rows(spec: Spec, station: Station, first: int, last: int) -> list[dict[str, Any]]:
    """A station's values from step to step as the HTTP door takes them; none for silent steps."""
    reported = _reported(spec, first, last)
    if not len(reported):
        return []
    clock = Clock(spec, reported)
    table = measured(spec, station, clock)
    found = []
    for column, step in enumerate(clock.steps):
        values = {
            pollutant.name: float(table[row, column])
            for row, pollutant in enumerate(spec.pollutants)
            if not np.isnan(table[row, column])
        }
        if values:
            at = instant(int(step)).astimezone(VN)
            found.append({"station": station.code, "time": at.isoformat(), **values})
    return found


def _reported(spec: Spec, first: int, last: int) -> Steps:
    """The steps from one to another with whose end a station reports."""
    return np.arange(-(-first // spec.every) * spec.every, last + 1, spec.every)


def step_of(at: datetime) -> int:
    """The last full step at or before an instant."""
    return int(at.timestamp() // STEP_S)


def instant(step: int) -> datetime:
    """When a step ends."""
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=step * STEP_S)


# -- what happens at a time -----------------------------------------------------------------------


class Clock:
    """Steps of time with what they mean for every station: hour, week, and the sky they share."""

    def __init__(self, spec: Spec, steps: Steps) -> None:
        self.steps = steps
        local = steps + _AHEAD
        self.day = local // DAY
        self.hour = (local % DAY) / HOUR
        weekday = (self.day + 3) % 7
        self.causes: dict[str, Floats] = {}
        for name in CURVES:
            curve = np.array([*spec.curves[name], spec.curves[name][0]])
            strength = np.interp(self.hour, np.arange(25), curve)
            if name in spec.week:
                strength = strength * np.array(spec.week[name])[weekday]
            self.causes[name] = strength
        # The land heats up more on some days than on others.
        self.causes["breeze"] *= 0.3 + 0.7 * _dice(_key(spec, "breeze"), self.day)
        self.causes["weather"] = 0.7 * _drift_of(_key(spec, "wind"), steps, 31 * HOUR)
        self.causes["weather"] += 0.6 * _drift_of(_key(spec, "air mass"), steps, 83 * HOUR)
        self.causes["smog"] = self._smog(spec)
        showers = _drift_of(_key(spec, "rain"), steps, 6 * HOUR)
        self.causes["rain"] = np.maximum(0.0, (showers - 0.45) / 0.55)
        self.causes["winter"] = np.cos((self.day - 14) * (2 * np.pi / 365.2425))

    def _smog(self, spec: Spec) -> Floats:
        """Still air for two to three and a half days out of twelve, swelling and ebbing."""
        begin, length, number = _spell(
            spec, "smog", self.steps, _SMOG_EVERY, 2 * DAY, round(3.5 * DAY)
        )
        through = np.clip((self.steps - begin) / length, 0.0, 1.0)
        strength = 0.6 + 0.4 * _dice(_key(spec, "smog strength"), number)
        return strength * np.sin(np.pi * through) ** 0.7


def measured(spec: Spec, station: Station, clock: Clock) -> Floats:
    """What a station reports, one line a pollutant; NaN where it reports nothing."""
    table = np.empty((len(spec.pollutants), len(clock.steps)))
    for row, pollutant in enumerate(spec.pollutants):
        seen = clock
        if pollutant.name in station.frozen:
            seen = Clock(spec, _frozen(spec, station, pollutant, clock.steps))
        value = _air(spec, station, pollutant, seen)
        if rise := (station.drift or {}).get(pollutant.name):
            value *= 1 + rise * (clock.steps % _CALIBRATED_EVERY) / _CALIBRATED_EVERY
        table[row] = _misread(spec, station, pollutant, seen.steps, value)
    table[:, _absent(spec, station, clock)] = np.nan
    return table


def _air(spec: Spec, station: Station, pollutant: Pollutant, clock: Clock) -> Floats:
    """The true value in the contract's unit."""
    profile = spec.profiles[station.profile]
    name = pollutant.name
    steps = clock.steps
    level = pollutant.level * profile.level.get(name, 1.0) * station.level.get(name, 1.0)
    total = np.full(len(steps), np.log(level))
    for cause, strength in clock.causes.items():
        weight = pollutant.effects[cause] * profile.feels[cause]
        if cause in SKY:
            weight *= 1 - station.steady
        if cause == "cooking":
            strength = strength * _fires(spec, station, clock)
        total += weight * strength
    place = _key(spec, station.code)
    stream = _key(spec, station.code, name)
    local = pollutant.effects["local"] * profile.feels["local"]
    total += local * 0.7 * _drift_of(place, steps, 27 * HOUR)
    total += local * 0.6 * _drift_of(stream, steps, 3 * HOUR)
    noise = pollutant.effects["noise"] * profile.feels["noise"]
    total += noise * _drift_of(stream + 1, steps, HOUR // 2)
    total += noise * (2 * _dice(stream + 2, steps) - 1)
    return np.exp(total, out=total)


def _fires(spec: Spec, station: Station, clock: Clock) -> Floats:
    """How much straw is burnt near a station this evening; nothing on four evenings of five."""
    dice = _dice(_key(spec, station.code, "fires"), clock.day)
    return np.where(dice < 0.2, 0.4 + 3 * dice, 0.0)


# -- what goes wrong ------------------------------------------------------------------------------


def _misread(
    spec: Spec, station: Station, pollutant: Pollutant, steps: Steps, value: Floats
) -> Floats:
    """As the instrument writes it: rounded, now and then below zero, rarely a spike."""
    dice = _dice(_key(spec, station.code, pollutant.name, "faults"), steps)
    below = dice < spec.faults.negative
    if below.any():
        share = dice[below] / spec.faults.negative
        value[below] = -pollutant.level * (0.03 + 0.17 * share)
    if pollutant.spike is not None:
        value[dice > 1 - spec.faults.spike] = pollutant.spike
    np.round(value, pollutant.decimals, out=value)
    return value


def _frozen(spec: Spec, station: Station, pollutant: Pollutant, steps: Steps) -> Steps:
    """For each step the one whose value is shown: while an instrument hangs, the first."""
    key = f"{station.code} {pollutant.name} frozen"
    begin, length, _ = _spell(spec, key, steps, _FROZEN_EVERY, 5 * HOUR, 11 * HOUR)
    return np.where((steps >= begin) & (steps < begin + length), begin, steps)


def _absent(spec: Spec, station: Station, clock: Clock) -> NDArray[np.bool_]:
    """Where nothing arrives: a broken line for some time, or the station is off until tomorrow."""
    key = f"{station.code} gap"
    begin, length, number = _spell(spec, key, clock.steps, _GAP_EVERY, HOUR // 3, 5 * HOUR // 2)
    broken = (clock.steps >= begin) & (clock.steps < begin + length)
    broken &= _dice(_key(spec, key), number) < spec.faults.gaps
    weak = [one.code for one in spec.stations if not one.steady]
    if station.code in weak:
        place = weak.index(station.code)
        turn = clock.day * 7 % len(weak)
        turn_yesterday = (clock.day - 1) * 7 % len(weak)
        broken |= (turn == place) & (clock.hour >= spec.faults.silent_from)
        broken |= turn_yesterday == place
    return broken


# -- chance ---------------------------------------------------------------------------------------


def _key(spec: Spec, *names: str) -> int:
    text = "\n".join((str(spec.seed), *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")


def _dice(key: int, n: Steps) -> Floats:
    """A number from 0 to 1 for each whole number, the same each time (splitmix64)."""
    x = n.astype(np.uint64)
    x += np.uint64(key)
    x *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)
    x >>= np.uint64(11)
    return x.astype(np.float64) * 2.0**-53


def _drift_of(key: int, steps: Steps, period: int) -> Floats:
    """A smooth wandering between −1 and 1 that forgets itself after `period` steps."""
    knot = steps // period
    first = int(knot.min())
    values = 2 * _dice(key, np.arange(first, int(knot.max()) + 2)) - 1
    knot -= first
    through = (steps % period) / period
    through *= through * (3 - 2 * through)
    before = values[knot]
    knot += 1
    return before + through * (values[knot] - before)


def _spell(
    spec: Spec, name: str, steps: Steps, every: int, shortest: int, longest: int
) -> tuple[Steps, Steps, Steps]:
    """One spell in each stretch of `every` steps: when it begins, how long it lasts, its number."""
    number = steps // every
    length = shortest + (_dice(_key(spec, name, "length"), number) * (longest - shortest)).astype(
        np.int64
    )
    begin = number * every + (_dice(_key(spec, name, "begin"), number) * (every - length)).astype(
        np.int64
    )
    return begin, length, number
