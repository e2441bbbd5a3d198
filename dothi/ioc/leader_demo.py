"""The demonstration's leader's numbers and targets: invented, like the province. Set once, through the
same functions as a person's."""

from __future__ import annotations

from dothi.identity.model import Actor
from dothi.indicators import targets
from dothi.ioc import leader_list
from dothi.ioc.leader_list import Number
from dothi.store.database import Connection

NUMBERS = (
    Number("i_vn_aqi_hourly", "so-nnmt", "leader"),
    Number("i_pm25_24h_mean", "so-nnmt", "leader"),
    Number("i_vn_wqi_daily", "so-nnmt", "leader"),
    Number("i_noise_hourly", "so-xd", "leader"),
    Number("s_score766 total", "tinh", "leader"),
    Number("s_score766 2.1", "vp-ubnd", "leader"),
    Number("s_score766 3a", "vp-ubnd", "leader"),
    Number("work_overdue", "ioc", "operator"),
    Number("work_punctual", "ioc", "leader"),
    Number("silent", "tt-qtmt", "officer"),
)
GROUND = "Dữ liệu minh họa: Kế hoạch năm của Tỉnh Sông Hạ (không có thật)"
TARGETS = (
    ("vn_aqi_hourly", "aqi", "hour", "at_most", "100"),
    ("pm25_24h_mean", "pm25_24h", "day", "at_most", "45"),
    ("vn_wqi_daily", "wqi", "day", "at_least", "76"),
    ("score766", "total", "month", "at_least", "85"),
    ("score766", "2.1", "month", "at_least", "95"),
    ("score766", "3a", "month", "at_least", "60"),
)


def put(conn: Connection, actor: Actor, year: int) -> None:
    """Set them where no numbers were ever fixed."""
    if not leader_list.fix_first(conn, actor, NUMBERS):
        return
    known = targets.visible(conn, actor)
    rows = [
        {
            "measure": measure, "part": part, "grain": grain, "direction": direction,
            "value": value, "valid_from": f"{year}-01-01", "valid_to": f"{year + 1}-12-31",
            "ground": GROUND, "verify": "x",
        }
        for measure, part, grain, direction, value in TARGETS
        if measure in known
    ]  # fmt: skip
    targets.bring(conn, actor, rows, "demo")
