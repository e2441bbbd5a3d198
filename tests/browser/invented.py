"""Invented views for looking at the screens without a store: tỉnh Sông Hạ on 21/11/2026, 08:24.

Roles, no names of persons; units as they are since 1/7/2025. Figures agree with each other.
"""

import datetime as dt
import math
import random
from functools import cache

from dothi.ioc import view as v
from dothi.kernel.aqi import sub_index_of
from dothi.kernel.zone import VN
from dothi.web.view import (
    Account,
    Chip,
    Latest,
    LatestView,
    NavItem,
    Shell,
    Status,
    Theme,
)
from tests.browser.province import province

NOW = dt.datetime(2026, 11, 21, 8, 24, tzinfo=VN)
BASE = "/services/environment"
QCVN = "QCVN 05:2023/BTNMT"


def at(text: str, day: int = 21) -> dt.datetime:
    hour, minute = text.split(":")
    return dt.datetime(2026, 11, day, int(hour), int(minute), tzinfo=VN)


def shell(
    lang: str, theme: Theme | None, title: str, path: str, current: str = "", signed_in: bool = True
) -> Shell:
    vi = lang == "vi"
    nav = (
        NavItem("Môi trường" if vi else "Environment", BASE, "air", current == "environment"),
        NavItem("Vụ việc" if vi else "Work items", "/work", "work", current == "work"),
        NavItem("Dữ liệu" if vi else "Data", "/loads", "data", current == "loads"),
    )
    chips = (
        Chip("critical", "1", "khẩn cấp" if vi else "critical", "/work?level=critical"),
        Chip("warning", "2", "cảnh báo" if vi else "warnings", "/work?level=warning"),
        Chip("notice", "2", "chú ý" if vi else "notices", "/work?level=notice"),
        Chip("unknown", "11/12", "trạm trực tuyến" if vi else "stations online"),
    )
    latest = LatestView(
        "/latest",
        ("events",),
        tuple(
            Latest(at(time), text if vi else english)
            for time, text, english in (
                (
                    "08:23",
                    "Trạm Kim Sơn gửi số liệu giờ 08:00",
                    "Station Kim Sơn sent its 08:00 values",
                ),
                (
                    "08:20",
                    "Tính xong VN_AQI giờ cho 11 trạm",
                    "Hourly VN_AQI computed for 11 stations",
                ),
                (
                    "08:12",
                    "Mở vụ việc VV-2026-0418: PM2.5 vượt ngưỡng cảnh báo",
                    "Work item VV-2026-0418 opened: PM2.5 above the alarm threshold",
                ),
                (
                    "07:58",
                    "Nạp xong tệp pm25_thang11.csv: 8.339 dòng",
                    "pm25_thang11.csv loaded: 8,339 rows",
                ),
            )
        ),
    )
    return Shell(
        title=title,
        province="Tỉnh Sông Hạ" if vi else "Sông Hạ Province",
        now=NOW,
        path=path,
        theme=theme,
        demo=True,
        nav=nav if signed_in else (),
        chips=chips if signed_in else (),
        chips_url="/chips",
        chips_topics=("work", "series:air_quality"),
        account=Account("Trực ban môi trường", "Sở Nông nghiệp và Môi trường")
        if signed_in
        else None,
        live_url="/live" if signed_in else None,
        latest=latest if signed_in else None,
    )


def wave(seed: int, count: int, base: float, swing: float, rise: float = 0.0) -> list[float]:
    chance = random.Random(seed)
    return [
        max(
            0.5,
            base
            + swing * math.sin((i - 5) / 24 * math.tau)
            + rise * i / count
            + chance.gauss(0, swing / 4),
        )
        for i in range(count)
    ]


def tiles(lang: str) -> v.TilesView:
    vi = lang == "vi"

    def say(one: str, other: str) -> str:
        return one if vi else other

    pm = wave(1, 24, 58, 14, 22)
    listed = (
        v.Tile(
            key="aqi",
            title=say("VN_AQI cao nhất", "Highest VN_AQI"),
            value=187,
            unit="",
            aqi_class="bad",
            period=say("giờ 08:00", "hour 08:00"),
            sub=say("Trạm Kim Sơn", "Kim Sơn"),
            status=Status("warning", say("Cảnh báo: lớp Xấu", "Warning: class Bad")),
            change=v.Change(46, say("so với hôm qua", "vs yesterday")),
            spark=tuple(wave(2, 24, 120, 28, 60)),
            at=at("08:20"),
            chart_url=f"{BASE}/chart?stream=kim-son-aqi",
            explain_url=f"{BASE}/explain?tile=aqi",
        ),
        v.Tile(
            key="pm25",
            title=say("PM2.5 trung bình 24 giờ", "PM2.5, 24-hour mean"),
            value=68.4,
            decimals=1,
            unit="µg/m³",
            period=say("toàn tỉnh, đến 08:00", "province, to 08:00"),
            status=Status("warning", say("Vượt giới hạn 45", "Above the limit of 45")),
            source=QCVN,
            change=v.Change(21.3, say("so với hôm qua", "vs yesterday"), 1),
            spark=tuple(pm),
            at=at("08:20"),
            chart_url=f"{BASE}/chart?stream=province-pm25",
            explain_url=f"{BASE}/explain?tile=pm25",
        ),
        v.Tile(
            key="stations",
            title=say("Trạm trực tuyến", "Stations online"),
            value=None,
            text="11/12",
            unit=say("trạm", "stations"),
            period=say("60 phút qua", "last 60 minutes"),
            status=Status("notice", say("1 trạm mất tín hiệu", "1 station silent")),
            change=v.Change(-1, say("so với hôm qua", "vs yesterday")),
            spark=tuple([12.0] * 19 + [11.0] * 5),
            at=at("08:24"),
            url=f"{BASE}#stations",
            explain_url=f"{BASE}/explain?tile=stations",
        ),
        v.Tile(
            key="work",
            title=say("Vụ việc đang mở", "Open work items"),
            value=5,
            unit=say("vụ việc", "items"),
            period=say("hiện tại", "now"),
            sub=say("1 sắp đến hạn", "1 near its deadline"),
            status=Status("critical", say("1 khẩn cấp", "1 critical")),
            change=v.Change(2, say("so với hôm qua", "vs yesterday")),
            spark=(2, 2, 3, 3, 2, 3, 4, 3, 3, 5),
            at=at("08:24"),
            url="/work",
        ),
        v.Tile(
            key="complete",
            title=say("Giờ có số liệu hợp lệ", "Hours with valid data"),
            value=96.2,
            decimals=1,
            unit="%",
            period=say("30 ngày qua", "last 30 days"),
            status=Status("ok", say("Đạt mục tiêu 90", "Meets the goal of 90")),
            change=v.Change(-0.8, say("so với kỳ trước", "vs the time before"), 1),
            spark=tuple(wave(5, 30, 96, 1.2)),
            at=at("08:20"),
            explain_url=f"{BASE}/explain?tile=complete",
            chart_url=f"{BASE}/chart?stream=complete",
        ),
        v.Tile(
            key="river",
            title=say("O₃ cao nhất 8 giờ", "O₃, highest 8-hour mean"),
            value=None,
            decimals=1,
            unit="µg/m³",
            period=say("24 giờ qua", "last 24 hours"),
            status=Status("unknown", say("Chưa đủ số liệu", "Not enough data")),
            source=say("cần 6/8 giờ hợp lệ", "needs 6 of 8 hours"),
            spark=(31, 34, 41, 45, None, None, 52, 61, 64, 58, None, None),
            at=at("03:00"),
            stale=True,
            explain_url=f"{BASE}/explain?tile=o3",
            chart_url=f"{BASE}/chart?stream=province-o3",
        ),
    )
    return v.TilesView(
        f"{BASE}/tiles",
        ("series:air_quality", "work"),
        listed,
        say("cập nhật 08:20", "updated 08:20"),
    )


PLACES = (
    ("kim-son", "Kim Sơn", "Phường Kim Sơn", 132.0),
    ("dong-thanh", "Đông Thành", "Phường Đông Thành", 96.0),
    ("an-lac", "An Lạc", "Phường An Lạc", 74.0),
    ("viet-tien", "Việt Tiến", "Phường Việt Tiến", 61.0),
    ("gia-hoa", "Gia Hòa", "Phường Gia Hòa", 52.5),
    ("dai-dong", "Đại Đồng", "Xã Đại Đồng", 46.0),
    ("my-duc", "Mỹ Đức", "Phường Mỹ Đức", 38.0),
    ("tam-giang", "Tam Giang", "Xã Tam Giang", 31.0),
    ("thai-son", "Thái Sơn", "Xã Thái Sơn", 22.0),
    ("hong-phong", "Hồng Phong", "Xã Hồng Phong", 17.5),
    ("dong-hai", "Đông Hải", "Xã Đông Hải", 12.0),
)
CLASSES: tuple[tuple[int, v.AqiClass], ...] = (
    (50, "good"),
    (100, "moderate"),
    (150, "poor"),
    (200, "bad"),
    (300, "very_bad"),
    (500, "hazardous"),
)


@cache
def _where() -> dict[str, tuple[float, float]]:
    """The middle of every commune of the invented province, by name."""
    places = [f for f in province()["features"] if f["properties"]["kind"] == "place"]
    return {f["properties"]["name"]: tuple(f["geometry"]["coordinates"]) for f in places}


def stations(lang: str) -> v.StationsView:
    vi = lang == "vi"
    listed = []
    for key, name, place, pm25 in PLACES:
        lon, lat = _where()[name]
        index = sub_index_of("PM2.5", pm25)
        assert index is not None
        value = math.floor(index + 0.5)
        listed.append(
            v.Station(
                key,
                name,
                place,
                lon,
                lat,
                value,
                next(c for high, c in CLASSES if value <= high),
                at("08:00"),
                True,
                main_pollutant="PM2.5",
                advice="Nhóm nhạy cảm nên hạn chế hoạt động ngoài trời."
                if vi
                else "Sensitive groups should stay inside.",
                pollutants=(
                    v.Pollutant("PM2.5 (NowCast)", pm25, "µg/m³", 1, value),
                    v.Pollutant(
                        "PM10 (NowCast)",
                        pm25 * 1.4,
                        "µg/m³",
                        1,
                        math.floor((sub_index_of("PM10", pm25 * 1.4) or 0) + 0.5),
                    ),
                    v.Pollutant("NO₂", 41.2, "µg/m³", 1, 21),
                    v.Pollutant("O₃", None, "µg/m³", 1, None),
                ),
                chart_url=f"{BASE}/chart?stream={key}-aqi",
                explain_url=f"{BASE}/explain?station={key}",
            )
        )
    listed.append(
        v.Station(
            "lac-thuy",
            "Lạc Thủy",
            "Xã Lạc Thủy",
            *_where()["Lạc Thủy"],
            None,
            None,
            at("22:00", 20),
            False,
            reason="mất tín hiệu" if vi else "no signal",
            chart_url=f"{BASE}/chart?stream=lac-thuy-aqi",
            explain_url=f"{BASE}/explain?station=lac-thuy",
        )
    )
    return v.StationsView(f"{BASE}/stations", ("series:air_quality",), tuple(listed), 11)


def chart(lang: str, stream: str = "kim-son-pm25") -> v.ChartView:
    vi = lang == "vi"
    aqi = stream.endswith("aqi")
    names = {
        "aqi": ("VN_AQI giờ", "Hourly VN_AQI"),
        "pm25": ("PM2.5 giờ", "PM2.5, hourly"),
        "pm25-24h": ("PM2.5 TB 24 giờ", "PM2.5, 24-h mean"),
    }
    place = next((name for key, name, *_ in PLACES if stream.startswith(key)), "Kim Sơn")
    title = (
        f"{'VN_AQI giờ' if aqi else 'PM2.5 trung bình giờ'}, trạm {place}"
        if vi
        else f"{'Hourly VN_AQI' if aqi else 'PM2.5, hourly mean'}, {place}"
    )
    return v.ChartView(
        url=f"{BASE}/chart?stream={stream}",
        topics=("series:air_quality",),
        title=title,
        subtitle="Sở Nông nghiệp và Môi trường · cập nhật 08:20"
        if vi
        else "Department of Agriculture and Environment · updated 08:20",
        data_url=f"/api/v1/streams/{stream}/chart",
        csv_url=f"/api/v1/streams/{stream}.csv",
        quantities=tuple(
            v.Choice(
                names[q][0 if vi else 1], f"{BASE}/chart?stream=kim-son-{q}", stream.endswith(q)
            )
            for q in names
        ),
        span="7d",
        explain_url=f"{BASE}/explain?tile=pm25",
    )


def conflicts(lang: str) -> tuple[v.Conflict, ...]:
    vi = lang == "vi"
    return (
        v.Conflict(
            "c1",
            "PM2.5, " + ("trạm Đông Thành" if vi else "Đông Thành"),
            dt.datetime(2026, 3, 11, 3, 0, tzinfo=VN),
            "Một giờ có hai giá trị, giờ 02:00 không có: dấu hiệu đổi giờ mùa hè của thiết bị nước ngoài."
            if vi
            else "One hour has two values and 02:00 has none: a foreign daylight-saving artefact.",
            (
                v.ConflictRow(
                    "54,0 µg/m³",
                    "hợp lệ" if vi else "valid",
                    "pm25_2026.csv",
                    1636,
                    "/loads/41",
                    "/conflicts/c1/1",
                ),
                v.ConflictRow(
                    "61,2 µg/m³",
                    "hợp lệ" if vi else "valid",
                    "pm25_2026.csv",
                    1637,
                    "/loads/41",
                    "/conflicts/c1/2",
                ),
            ),
        ),
    )


def findings(lang: str) -> tuple[v.Finding, ...]:
    vi = lang == "vi"
    rows: tuple[tuple[str, str, str, int, str, str, str], ...] = (
        ("rejected", "Dòng dữ liệu lỗi chờ xử lý", "Rejected rows", 3, "warning", "", ""),
        (
            "missing",
            "Thiếu giá trị",
            "Missing values",
            145,
            "notice",
            "ghi −999, không tính vào trung bình",
            "−999, not in any mean",
        ),
        (
            "invalid",
            "Không hợp lệ",
            "Invalid",
            196,
            "notice",
            "trạm tự đánh dấu, vẫn lưu",
            "marked by the station, kept",
        ),
        (
            "negative",
            "Giá trị âm",
            "Negative values",
            4,
            "notice",
            "1 giá trị đánh dấu hợp lệ",
            "one marked valid",
        ),
        (
            "absent",
            "Giờ không có dòng nào",
            "Absent hours",
            422,
            "notice",
            "trên 8.760 giờ phải có",
            "of 8,760 expected",
        ),
    )
    return tuple(
        v.Finding(
            kind,
            one if vi else other,
            count,
            level,
            note if vi else note_en,  # type: ignore[arg-type]
            download_url="/loads/41/quarantine.csv" if kind == "rejected" else None,
        )
        for kind, one, other, count, level, note, note_en in rows
    )


def quality(lang: str) -> v.QualityView:
    vi = lang == "vi"
    return v.QualityView(
        f"{BASE}/quality",
        ("loads",),
        "air_quality",
        "Bộ dữ liệu chất lượng không khí, năm 2026" if vi else "Air quality dataset, 2026",
        0.9132,
        8760,
        findings(lang),
        conflicts(lang),
        "/loads",
    )
