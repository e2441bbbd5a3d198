"""All kinds of work items there are, in one place: states, deadlines, ladders.

Budgets and ladders are defaults; whoever opens an item may give it a budget and calendar of its own.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from dothi.kernel.errors import Invalid
from dothi.kernel.ids import work_code
from dothi.work.model import OPEN, Kind, Move, Recipient, Rule, Severity, State, Step

_IN_HAND = frozenset({State.ACCEPTED, State.IN_PROGRESS, State.RETURNED})

USUAL_RULES: Mapping[Move, Rule] = {
    Move.ACCEPT: Rule(frozenset({State.NEW}), State.ACCEPTED, "work.handle"),
    Move.START: Rule(
        frozenset({State.NEW, State.ACCEPTED, State.RETURNED}), State.IN_PROGRESS, "work.handle"
    ),
    Move.PAUSE: Rule(_IN_HAND, None, "work.handle", note=True),
    Move.RESUME: Rule(_IN_HAND, None, "work.handle"),
    Move.DONE: Rule(_IN_HAND, State.DONE, "work.handle", note=True),
    Move.REFUSE: Rule(
        frozenset({State.NEW, State.ACCEPTED}), State.REFUSED, "work.handle", note=True
    ),
    Move.GIVE_AGENCY: Rule(OPEN - {State.DONE}, State.NEW, "work.assign"),
    Move.GIVE_PERSON: Rule(OPEN - {State.DONE, State.REFUSED}, None, "work.assign"),
    Move.VERIFY: Rule(frozenset({State.DONE}), State.VERIFIED, "work.judge"),
    Move.RETURN: Rule(frozenset({State.DONE}), State.RETURNED, "work.judge", note=True),
    Move.CANCEL: Rule(OPEN, State.CANCELLED, "work.judge", note=True),
    Move.NOTE: Rule(frozenset(State), None, "work.handle", note=True),
}
"""What may be done with an alarm or a task. In the order in which a screen offers it."""

_LADDER = (
    Step("urge_1", 0.5, Recipient.ASSIGNEE, "work.rung.urge_1"),
    Step("due_soon", 0.75, Recipient.ASSIGNEE, "work.rung.due_soon"),
    Step("overdue", 1.0, Recipient.OWNER_LEADER, "work.rung.overdue"),
    Step("urge_2", 1.25, Recipient.OWNER_LEADER, "work.rung.urge_2"),
    Step("above", 1.5, Recipient.ABOVE, "work.rung.above"),
)


def _hours(*, notice: float, warning: float, critical: float) -> Mapping[Severity, timedelta]:
    return {
        Severity.NOTICE: timedelta(hours=notice),
        Severity.WARNING: timedelta(hours=warning),
        Severity.CRITICAL: timedelta(hours=critical),
    }


ALARM = Kind(
    name="alarm",
    budgets=_hours(notice=48, warning=12, critical=4),
    calendar="always",
    ladder=_LADDER,
    rules=USUAL_RULES,
    series="VV",
    number=work_code,
)
"""An environment threshold was passed (cảnh báo): runs round the clock."""

TASK = Kind(
    name="task",
    budgets=_hours(notice=37.5, warning=22.5, critical=7.5),
    calendar="office",
    ladder=_LADDER,
    rules=USUAL_RULES,
    series="VV",
    number=work_code,
)
"""Work that somebody gave somebody (nhiệm vụ): five, three or one day of office hours."""


def _by_name(kinds: Iterable[Kind]) -> Mapping[str, Kind]:
    return {kind.name: kind for kind in kinds}


KINDS = _by_name((ALARM, TASK))


def kind_of(name: str) -> Kind:
    """The kind of that name. Raises Invalid."""
    kind = KINDS.get(name)
    if kind is None:
        raise Invalid("work.no_kind", name=name, known=", ".join(KINDS))
    return kind
