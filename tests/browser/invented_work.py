"""Invented work items, explanations and loads for looking at the screens: see invented.py."""

import datetime as dt

from dothi.ioc import view as v
from dothi.web.view import Status
from tests.browser.invented import (
    BASE,
    NOW,
    QCVN,
    at,
    chart,
    conflicts,
    findings,
    quality,
    stations,
    tiles,
)
from tests.browser.province import BOUNDS


def work_rows(lang: str) -> tuple[v.WorkRow, ...]:
    vi = lang == "vi"
    take = v.Action("Tiếp nhận" if vi else "Take", "/work/VV-2026-0418/take", primary=True)
    pause = v.Action(
        "Tạm dừng" if vi else "Pause",
        "/work/VV-2026-0415/pause",
        reason_label="Lý do tạm dừng" if vi else "Why paused",
    )
    done = v.Action(
        "Báo cáo kết quả" if vi else "Report done",
        "/work/VV-2026-0415/done",
        primary=True,
        reason_label="Kết quả xử lý" if vi else "What was done",
    )

    def row(
        number: int,
        kind: str,
        title: str,
        agency: str,
        state: Status,
        hours: float,
        used: float,
        place: str,
        actions: tuple[v.Action, ...] = (),
        paused: bool = False,
    ) -> v.WorkRow:
        left = dt.timedelta(hours=hours)
        return v.WorkRow(
            f"VV-2026-{number:04d}",
            kind,
            title,
            agency,
            state,
            f"/work/VV-2026-{number:04d}",
            NOW - dt.timedelta(minutes=12),
            place,
            NOW + left,
            left,
            used,
            paused,
            actions,
        )

    alarm, device, data = (
        ("Cảnh báo", "Sự cố thiết bị", "Số liệu") if vi else ("Alarm", "Device fault", "Data")
    )
    if vi:
        return (
            row(
                418,
                alarm,
                "PM2.5 vượt 150 µg/m³ liên tục 2 giờ",
                "Sở Nông nghiệp và Môi trường",
                Status("critical", "Khẩn cấp, chưa tiếp nhận"),
                1 + 1 / 3,
                0.83,
                "Phường Kim Sơn",
                (take,),
            ),
            row(
                415,
                alarm,
                "VN_AQI lớp Xấu trong 3 giờ liền",
                "UBND phường Đông Thành",
                Status("warning", "Đang xử lý"),
                5.5,
                0.52,
                "Phường Đông Thành",
                (done, pause),
            ),
            row(
                411,
                device,
                "Trạm Lạc Thủy mất tín hiệu",
                "Trung tâm Quan trắc môi trường",
                Status("warning", "Đang xử lý"),
                -3,
                1,
                "Xã Lạc Thủy",
            ),
            row(
                409,
                alarm,
                "Gần khu dân cư có mùi khét, nghi đốt rác",
                "UBND xã Tam Giang",
                Status("notice", "Tạm dừng: chờ kết quả đo"),
                26,
                0.3,
                "Xã Tam Giang",
                (),
                True,
            ),
            row(
                402,
                data,
                "Quyết định giá trị mâu thuẫn lúc 03:00, 11/03/2026",
                "Trung tâm Quan trắc môi trường",
                Status("notice", "Mới"),
                49,
                0.08,
                "",
            ),
        )
    return (
        row(
            418,
            alarm,
            "PM2.5 above 150 µg/m³ for 2 hours",
            "Department of Agriculture and Environment",
            Status("critical", "Critical, not taken"),
            1 + 1 / 3,
            0.83,
            "Phường Kim Sơn",
            (take,),
        ),
        row(
            415,
            alarm,
            "VN_AQI class Bad for 3 hours",
            "People's Committee of phường Đông Thành",
            Status("warning", "In progress"),
            5.5,
            0.52,
            "Phường Đông Thành",
            (done, pause),
        ),
        row(
            411,
            device,
            "Station Lạc Thủy silent",
            "Environmental Monitoring Centre",
            Status("warning", "In progress"),
            -3,
            1,
            "Xã Lạc Thủy",
        ),
    )


def work(lang: str) -> v.WorkPanel:
    return v.WorkPanel(f"{BASE}/work", ("work",), work_rows(lang), 5, "/work")


def service(lang: str, stream: str = "kim-son-pm25") -> v.ServiceView:
    vi = lang == "vi"
    ground = v.MapView(
        "Chất lượng không khí tại các trạm" if vi else "Air quality at the stations",
        "VN_AQI giờ 08:00, 21/11/2026 · cập nhật 08:20"
        if vi
        else "Hourly VN_AQI, 08:00, 21 Nov 2026 · updated 08:20",
        "/api/v1/map/base.geojson",
        (BOUNDS[0] + 0.03, BOUNDS[1] + 0.06, BOUNDS[2] - 0.02, BOUNDS[3] - 0.06),
    )
    return v.ServiceView(
        tiles(lang), stations(lang), ground, chart(lang, stream), quality(lang), work(lang)
    )


def explain(lang: str) -> v.ExplainView:
    vi = lang == "vi"
    times = [NOW.replace(minute=0) - dt.timedelta(hours=i) for i in range(8)]
    rows = tuple(
        (
            f"{t:%H:%M}, {t:%d/%m/%Y}",
            "Kim Sơn",
            f"{70 - i * 1.7:.1f}".replace(".", ","),
            "hợp lệ" if vi else "valid",
            f"{8339 - i}",
        )
        for i, t in enumerate(times)
    )
    return v.ExplainView(
        "PM2.5 trung bình 24 giờ, toàn tỉnh" if vi else "PM2.5, 24-hour mean, province",
        "68,4",
        "µg/m³",
        "09:00, 20/11/2026 – 08:00, 21/11/2026",
        Status("warning", "Vượt giới hạn 45" if vi else "Above the limit of 45"),
        "Trung bình cộng các giá trị PM2.5 theo giờ có chất lượng hợp lệ của mọi trạm trong 24 giờ gần nhất. Giờ thiếu hoặc không hợp lệ không được tính; cần ít nhất 18 trên 24 giờ."
        if vi
        else "Arithmetic mean of the valid hourly PM2.5 values of all stations over the last 24 hours. Missing and invalid hours do not count; at least 18 of 24 hours are needed.",
        v.Table(
            ("Thời gian", "Trạm", "PM2.5 (µg/m³)", "Chất lượng", "Dòng trong tệp")
            if vi
            else ("Time", "Station", "PM2.5 (µg/m³)", "Quality", "Row of the file"),
            rows,
            (2, 4),
            252,
        ),
        (
            v.LoadRef(
                "pm25_thang11.csv",
                "9f2c6a7d0b1e4c8f35a6d7e8b9c0a1f2e3d4c5b6a7980f1e2d3c4b5a69788796",
                "dòng 1–8.339" if vi else "rows 1–8,339",
                at("07:58"),
                "/loads/41",
                "nạp từ tệp" if vi else "from a file",
            ),
            v.LoadRef(
                "HTTP · khóa trạm Kim Sơn",
                "41b0d3c2e5f69788a7b6c5d4e3f20191a2b3c4d5e6f708192a3b4c5d6e7f8091",
                "24 dòng" if vi else "24 rows",
                at("08:20"),
                None,
                "thiết bị gửi" if vi else "sent by a device",
            ),
        ),
        (
            v.Fact("Hợp lệ" if vi else "Valid", "252"),
            v.Fact("Thiếu" if vi else "Missing", "7"),
            v.Fact("Không hợp lệ" if vi else "Invalid", "5"),
        ),
        f"{QCVN}: giá trị giới hạn trung bình 24 giờ của PM2.5 là 50 µg/m³ đến 31/12/2025, 45 µg/m³ từ 01/01/2026."
        if vi
        else f"{QCVN}: the 24-hour limit for PM2.5 is 50 µg/m³ until 31/12/2025 and 45 µg/m³ from 01/01/2026.",
        "SELECT time_bucket(INTERVAL 1 DAY, phenomenon_time) AS day,\n       station,\n       avg(value) AS pm25_daily_mean\n  FROM air_quality\n WHERE quantity = 'PM2.5'\n   AND quality = 'valid'\n GROUP BY ALL\nHAVING count(*) >= 18",
        at("08:20"),
        "3",
        "/explain/rows.csv",
    )


def load_rows(lang: str) -> tuple[v.LoadRow, ...]:
    vi = lang == "vi"
    ok = Status("ok", "Đã nạp" if vi else "Loaded")
    part = Status("warning", "Có dòng lỗi" if vi else "Some rows rejected")
    by = "Trực ban môi trường" if vi else "Environment duty officer"
    same = Status("unknown", "Trùng tệp đã nạp" if vi else "Same file as before")
    return (
        v.LoadRow(
            "41",
            "air_quality",
            "pm25_2026.csv",
            at("07:58"),
            by,
            8339,
            8336,
            3,
            1,
            part,
            "/loads/41",
            "/loads/41/quarantine.csv",
        ),
        v.LoadRow(
            "40",
            "air_quality",
            "pm10_thang10.csv",
            at("16:02", 20),
            by,
            744,
            744,
            0,
            0,
            ok,
            "/loads/40",
        ),
        v.LoadRow(
            "39",
            "air_quality",
            "pm10_thang10.csv",
            at("15:59", 20),
            by,
            744,
            0,
            0,
            0,
            same,
            "/loads/39",
        ),
        v.LoadRow(
            "38",
            "stations",
            "danh_muc_tram.csv",
            at("09:10", 18),
            "Quản trị viên" if vi else "Administrator",
            12,
            12,
            0,
            0,
            ok,
            "/loads/38",
        ),
    )


def contradicting_lights(lang: str) -> v.Conflict:
    """Two rows of one record; a load has series or records, the page knows both."""
    vi = lang == "vi"
    titles = ("Tuyến đường", "Công suất (W)", "Ghi chú") if vi else ("Street", "Power (W)", "Note")
    contents = (
        ("Trần Phú", "150", "—"),
        ("Nguyễn Văn Linh nối dài, đoạn từ nút giao Đông Thành đến cầu Sông Bờ", "1.250", "Thay bóng"),
    )  # fmt: skip
    return v.Conflict(
        "c2",
        "Mã đèn: DC-0417" if vi else "Light: DC-0417",
        None,
        "Tệp có nhiều dòng cho cùng một đối tượng nhưng nội dung khác nhau."
        if vi
        else "The file has several rows with one key and different content.",
        tuple(
            v.ConflictRow(
                ("Dòng " if vi else "Row ") + str(row),
                "Hợp lệ" if vi else "Valid",
                "den_chieu_sang.xlsx",
                row,
                "/loads/41",
                f"/conflicts/c2/{row}",
                fields=tuple(map(v.Fact, titles, texts)),
            )
            for row, texts in zip((12, 340), contents, strict=True)
        ),
        same=(
            v.Fact("Loại đèn" if vi else "Kind", "LED"),
            v.Fact("Năm lắp" if vi else "Year", "2019"),
        ),
        none_url="/conflicts/c2/0",
    )


def load(lang: str) -> v.LoadView:
    vi = lang == "vi"
    facts = (
        v.Fact("SHA-256", "9f2c6a7d0b1e4c8f35a6d7e8b9c0a1f2e3d4c5b6a7980f1e2d3c4b5a69788796"),
        v.Fact("Kích thước" if vi else "Size", "612 KB"),
        v.Fact(
            "Thời gian của số liệu" if vi else "Time of the data",
            "01/01/2026 01:00 – 21/11/2026 07:00",
        ),
        v.Fact(
            "Quy ước đọc" if vi else "Read as",
            "air_quality, phiên bản 2" if vi else "air_quality, version 2",
        ),
    )
    rejected = (
        v.RejectedRow(
            204,
            "PM2.5",
            "1O2,4",
            "Không phải là số: có chữ O thay cho số 0."
            if vi
            else "Not a number: the letter O stands for zero.",
        ),
        v.RejectedRow(
            1187,
            "Thời gian" if vi else "Time",
            "31/02/2026 04:00",
            "Ngày không có trong lịch." if vi else "No such day.",
        ),
        v.RejectedRow(
            5120,
            "PM2.5",
            "48.210",
            "Vượt khoảng cho phép 0–1.000 µg/m³." if vi else "Outside the range 0–1,000 µg/m³.",
        ),
    )
    return v.LoadView(
        load_rows(lang)[0], facts, findings(lang)[:4],
        (*conflicts(lang), contradicting_lights(lang)), rejected,
        use_url="/loads/41/use",
    )  # fmt: skip


def work_item(lang: str) -> v.WorkView:
    vi = lang == "vi"
    row = work_rows(lang)[1]
    facts = (
        v.Fact("Cơ quan chủ trì" if vi else "Owner", row.agency),
        v.Fact("Trạm" if vi else "Station", "Đông Thành", BASE),
        v.Fact("Mở lúc" if vi else "Opened", "05:12, 21/11/2026"),
        v.Fact(
            "Thời hạn" if vi else "Time allowed", "12 giờ làm việc" if vi else "12 working hours"
        ),
    )
    rungs = (
        v.Rung("Nhắc cơ quan chủ trì" if vi else "Remind the owner", at("08:00"), at("08:00")),
        v.Rung(
            "Đôn đốc lần 2, báo lãnh đạo đơn vị"
            if vi
            else "Second reminder, to the head of the unit",
            at("11:30"),
        ),
        v.Rung("Chuyển cấp trên xử lý" if vi else "Escalate to the level above", at("13:54")),
    )
    history = (
        v.Event(
            at("08:00"),
            "Hệ thống" if vi else "System",
            "Nhắc cơ quan chủ trì" if vi else "Owner reminded",
            level="notice",
        ),
        v.Event(
            at("06:40"),
            "Trực ban phường Đông Thành" if vi else "Duty officer",
            "Tiếp nhận xử lý" if vi else "Taken",
            "Cử tổ kiểm tra công trường trên đường tỉnh 391."
            if vi
            else "A team inspects the building site on road 391.",
        ),
        v.Event(
            at("05:12"),
            "Hệ thống" if vi else "System",
            "Mở vụ việc từ cảnh báo" if vi else "Opened from an alarm",
            level="warning",
        ),
    )
    return v.WorkView(
        f"{row.url}",
        ("work",),
        row,
        "VN_AQI giờ của trạm Đông Thành ở lớp Xấu (cao nhất 162) từ 03:00 đến 05:00, chủ yếu do PM2.5."
        if vi
        else "Hourly VN_AQI of Đông Thành in class Bad (up to 162) from 03:00 to 05:00, mainly PM2.5.",
        facts,
        rungs,
        history,
        chart(lang, "dong-thanh-aqi"),
        f"{BASE}/explain?tile=aqi",
    )
