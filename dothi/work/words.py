"""Work items in words: what a screen, a message or a report says about them, in either language."""

from datetime import datetime, timedelta

from dothi.kernel.i18n import NOTHING, remaining, t
from dothi.web.view import Level
from dothi.work.model import (
    HistoryLine,
    Item,
    Move,
    Recipient,
    Rung,
    Severity,
    State,
    Timeliness,
)

_LEVEL: dict[Severity, Level] = {
    Severity.NOTICE: "notice",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
}
_ASKED = frozenset({Move.PAUSE, Move.DONE, Move.REFUSE, Move.RETURN, Move.CANCEL})
_PRIMARY = frozenset({Move.ACCEPT, Move.START, Move.RESUME, Move.DONE, Move.VERIFY})


def kind_text(kind: str, lang: str) -> str:
    """Cảnh báo, Nhiệm vụ."""
    return t(f"work.kind.{kind}", lang)


def severity_text(severity: Severity, lang: str) -> str:
    """Chú ý, Cảnh báo, Khẩn cấp."""
    return t(f"work.severity.{severity.name.lower()}", lang)


def state_text(item: Item, lang: str) -> str:
    """Where it stands, with the reason where it is paused: "Tạm dừng: chờ kết quả đo"."""
    if item.paused:
        return t("work.paused", lang, reason=item.pause or NOTHING)
    state = t(f"work.state.{item.state}", lang)
    if item.severity is Severity.CRITICAL and item.state is State.NEW:
        return t("work.critical_and", lang, state=state[0].lower() + state[1:])
    return state


def timeliness_text(timeliness: Timeliness, lang: str) -> str:
    """Trong hạn, sắp đến hạn, quá hạn, đúng hạn."""
    return t(f"work.timeliness.{timeliness}", lang)


def move_text(move: Move, lang: str) -> str:
    """The words of a button: "Tiếp nhận"."""
    return t(f"work.move.{move}", lang)


def note_label(move: Move, lang: str) -> str:
    """What to ask for beside the button: "Lý do tạm dừng", "Kết quả xử lý"."""
    return t(f"work.note.{move}", lang) if move in _ASKED else t("work.note.any", lang)


def is_primary(move: Move) -> bool:
    """Whether it is the step that carries the work on."""
    return move in _PRIMARY


def rung_text(rung: Rung, lang: str) -> str:
    """What is sent to whom: "Đôn đốc lần 1 → người được giao"."""
    return _sent(rung.message, rung.recipient, lang)


def history_text(line: HistoryLine, lang: str) -> str:
    """What happened, without who and when."""
    if line.what == "rung":
        return _sent(line.detail["message"], Recipient(line.detail["recipient"]), lang)
    if line.what == "urged":
        return t("work.history.urged", lang, nth=line.detail["nth"])
    return t(f"work.history.{line.what}", lang)


def actor_text(line: HistoryLine, lang: str) -> str:
    """Who did it, as they were called then."""
    return t("work.by_system", lang) if line.actor == "system" else line.actor_name or line.actor


def budget_text(item: Item, lang: str) -> str:
    """The time allowed, and how it is counted: "22,5 giờ làm việc". Never days: a working day has
    no 24 hours."""
    hours = round(item.clock.budget / timedelta(hours=1), 1)
    key = "work.budget_always" if item.calendar == "always" else "work.budget_office"
    return t(key, lang, hours=hours)


def deadline_text(item: Item, now: datetime, lang: str) -> str:
    """One line about the deadline: "Quá hạn 2 giờ", "Còn 1 ngày", "Đúng hạn"."""
    timeliness = item.timeliness(now)
    if timeliness in (Timeliness.ON_TIME, Timeliness.LATE):
        return timeliness_text(timeliness, lang)
    return remaining(item.left_by_calendar(now), lang)


def level(item: Item) -> Level:
    """How much attention it needs, as screens draw it."""
    if item.state is State.VERIFIED:
        return "ok"
    return "unknown" if item.state is State.CANCELLED else _LEVEL[item.severity]


def _sent(message: str, recipient: Recipient, lang: str) -> str:
    return t("work.sent", lang, what=t(message, lang), who=t(f"work.recipient.{recipient}", lang))
