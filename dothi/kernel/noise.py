"""Noise levels and their limits: QCVN 26.

Levels are in dB(A). The equivalent level of a stretch of time (LAeq) is the mean of energies, not of
levels: 10 · log10(mean of 10^(L/10)). Silence is no measurement: a level that is absent is NaN, and
what is absent enters nothing.

QCVN 26:2010/BTNMT gives limits by kind of area and time of day. It was replaced by
QCVN 26:2025/BNNMT, whose table was not at hand; so the older one stands, marked `verify`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dothi.kernel.aqi import Floats

AREAS = ("special", "common")
"""Special: hospitals, schools, libraries, places of worship and the like. Common: where people live,
hotels, offices."""


@dataclass(frozen=True)
class Limits:
    """The highest levels by area, in dB(A): by day and by night, as an instrument gives them.

    The day runs from the hour `day_from` to the hour `night_from`. `verify`: somebody has to
    confirm that these are the figures in force.
    """

    source: str
    valid_from: date
    valid_to: date | None
    verify: bool
    day_from: int
    night_from: int
    by_area: Mapping[str, tuple[float, float]]

    def at(self, area: str, hour: int) -> float:
        """The limit in an area during the hour that begins at `hour` (0 to 23, local time)."""
        by_day, by_night = self.by_area[area]
        return by_day if self.day_from <= hour < self.night_from else by_night


QCVN_26 = Limits(
    source=(
        "QCVN 26:2010/BTNMT (Thông tư 39/2010/TT-BTNMT); đã được thay bằng QCVN 26:2025/BNNMT "
        "(Thông tư 01/2025/TT-BNNMT ngày 15/5/2025), bảng giới hạn mới cần cập nhật"
    ),
    valid_from=date(2010, 12, 16),
    valid_to=None,
    verify=True,
    day_from=6,
    night_from=21,
    by_area=MappingProxyType({"special": (55.0, 45.0), "common": (70.0, 55.0)}),
)


def energy(level: ArrayLike) -> Floats:
    """The energy of levels, relative to that of 0 dB(A); its mean is that of `laeq`."""
    return np.power(10.0, np.asarray(level, np.float64) / 10)


def level(mean_energy: ArrayLike) -> Floats:
    """The level of a mean energy; NaN for none and for what cannot be an energy."""
    given = np.asarray(mean_energy, np.float64)
    possible = (given > 0) & (given < np.inf)
    return 10 * np.log10(np.where(possible, given, np.nan))


def laeq(levels: ArrayLike) -> Floats:
    """The equivalent level along the last axis; NaN where no level is there."""
    energies = energy(levels)
    count = (~np.isnan(energies)).sum(axis=-1)
    total = np.nansum(energies, axis=-1)
    return level(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))


def limit(area: str, at: datetime, limits: Limits = QCVN_26) -> float:
    """The limit at an instant told in local time. KeyError for an unknown area."""
    return limits.at(area, at.hour)


def limit_of_hours(area: str, hours: NDArray[np.integer], limits: Limits = QCVN_26) -> Floats:
    """The limit in each hour of the day (0 to 23, by its beginning, local time)."""
    of_day = np.array([limits.at(area, hour) for hour in range(24)])
    return of_day[hours]
