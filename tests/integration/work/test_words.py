"""Everything about a work item can be said in Vietnamese and in English, in the glossary's words."""

from __future__ import annotations

from datetime import timedelta

from dothi.identity.model import SYSTEM
from dothi.kernel.i18n import LANGS, catalogue
from dothi.kernel.time import VN, parse_instant
from dothi.work import words
from dothi.work.jobs import fire_due
from dothi.work.kinds import KINDS
from dothi.work.model import Move, Recipient, Severity, State, Timeliness

MONDAY = parse_instant("2026-03-02 08:00", VN)


def test_every_state_move_and_rung_has_its_words() -> None:
    keys = {
        *(f"work.state.{state}" for state in State),
        *(f"work.obstacle.{state}" for state in State),
        *(f"work.move.{move}" for move in Move),
        *(f"work.history.{move}" for move in Move),
        *(f"work.timeliness.{one}" for one in Timeliness),
        *(f"work.recipient.{one}" for one in Recipient),
        *(f"work.severity.{one.name.lower()}" for one in Severity),
        *(f"work.kind.{kind}" for kind in KINDS),
        *(step.message for kind in KINDS.values() for step in kind.ladder),
    }
    assert keys <= catalogue().keys()
    for lang in LANGS:
        for move in Move:
            assert words.note_label(move, lang)


def test_no_word_the_glossary_forbids_is_used() -> None:
    texts = [entry["vi"].lower() for key, entry in catalogue().items() if key.startswith("work.")]
    for never in ("leo thang", "nguy cấp", "vụ án", "vượt cấp", "báo động"):
        assert not [text for text in texts if never in text]


def test_an_item_told_in_both_languages(desk) -> None:
    code = desk.open(severity=Severity.CRITICAL)
    item = desk.item(code)
    assert words.state_text(item, "vi") == "Khẩn cấp, chưa tiếp nhận"
    assert words.state_text(item, "en") == "Critical, not accepted yet"
    assert words.budget_text(item, "vi") == "4 giờ, tính liên tục cả ngày nghỉ"
    assert words.deadline_text(item, MONDAY + timedelta(hours=1), "vi") == "Còn 3 giờ"
    assert words.deadline_text(item, MONDAY + timedelta(hours=6), "vi") == "Quá hạn 2 giờ"
    desk.move(code, Move.ACCEPT)
    desk.move(code, Move.PAUSE, note="chờ kết quả đo")
    assert words.state_text(desk.item(code), "vi") == "Tạm dừng: chờ kết quả đo"
    desk.move(code, Move.RESUME)
    fire_due(desk.db, MONDAY + timedelta(hours=100))
    full = desk.full(code)
    assert words.rung_text(full.rungs[0], "vi") == "Đôn đốc lần 1 → người xử lý"
    assert [words.history_text(line, "vi") for line in full.history[-2:]] == [
        "Đôn đốc lần 2 → lãnh đạo cơ quan chủ trì",
        "Chuyển cấp trên xử lý → lãnh đạo cơ quan cấp trên",
    ]
    assert {words.actor_text(line, "vi") for line in full.history} == {"Hệ thống"}
    assert full.history[0].actor == SYSTEM.ref
    assert [words.history_text(line, "en") for line in full.history][:3] == [
        "Opened",
        "Accepted",
        "Paused",
    ]
    desk.move(code, Move.DONE)
    assert words.deadline_text(desk.item(code), MONDAY, "vi") == "Đúng hạn"


def test_a_deadline_in_office_hours_is_told_as_people_count(desk) -> None:
    """Five working days are no one and a half days, and a week later on the wall."""
    item = desk.item(desk.open(kind="task", severity=Severity.NOTICE, now=MONDAY))
    assert words.budget_text(item, "vi") == "37,5 giờ làm việc"
    assert item.due_at == parse_instant("2026-03-09 08:00", VN)
    assert words.deadline_text(item, MONDAY, "vi") == "Còn 7 ngày"
    assert words.deadline_text(item, MONDAY + timedelta(days=8), "vi") == "Quá hạn 1 ngày"
    assert [words.level(item), words.kind_text(item.kind, "vi")] == ["notice", "Nhiệm vụ"]
