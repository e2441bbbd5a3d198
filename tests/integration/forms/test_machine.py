"""Whatever people do with returns in whatever order: the store holds what stands approved, no more."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st

from dothi.forms.model import Phase, State, values
from dothi.identity.model import Actor, Role
from dothi.kernel.errors import DothiError
from tests.integration.forms.conftest import Town

ACTS = ("save", "submit", "approve", "return", "recall", "correct", "abandon", "undo")
LIKELY = {
    Phase.EMPTY: ("submit", "save"),
    Phase.DRAFT: ("submit",),
    Phase.RETURNED: ("submit",),
    Phase.CORRECTING: ("submit", "submit", "abandon"),
    Phase.SUBMITTED: ("approve", "approve", "approve", "return", "recall"),
    Phase.APPROVED: ("correct", "correct", "undo"),
    Phase.UNDONE: ("correct", "undo"),
}
"""What people do next most of the time; else anything, by anybody, on any version."""
FIGURES = st.sampled_from(["5", "7,5", "12", "1.000", "", "x", "-1"])
STEPS = st.lists(
    st.tuples(st.integers(0, 99), st.integers(0, 2), FIGURES, FIGURES), min_size=8, max_size=18
)
_codes = itertools.count()


def test_the_store_equals_what_stands_approved(make_town: Callable[..., Town]) -> None:
    town = make_town()
    people = [
        town.actor("ubnd-a", Role.OFFICER),
        town.actor("ubnd-a", Role.LEADER),
        Actor(
            "person", 77, town.ids["ubnd-a"], frozenset({town.ids["ubnd-a"]}),
            frozenset({Role.OFFICER, Role.LEADER}), name="cả hai",
        ),
    ]  # fmt: skip
    seen: set[Phase] = set()

    @settings(
        max_examples=20, deadline=None, database=None, derandomize=True, phases=[Stage.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(STEPS)
    def run(steps: list[tuple[int, int, str, str]]) -> None:
        # Each run has a month of its own.
        place = town.place(back=1 + next(_codes) % 11)
        clean(town, place)
        expected: dict[int, dict[str, Any]] = {}
        undone: set[int] = set()
        before = look(town, place)
        for chance, who, first, second in steps:
            act, version, actor = ACTS[chance % len(ACTS)], before.version, people[who]
            if chance >= 25:
                likely = LIKELY[before.phase]
                act = likely[chance % len(likely)]
                actor = people[1 if act in ("approve", "return") else 0]
            elif chance % 5 == 0:
                version -= 1
            with suppress(DothiError):
                do(town, act, actor, place, version, {"collected": first, "sorted": second}, before)
            after = look(town, place)
            if after.state is State.APPROVED and before.state is State.SUBMITTED:
                newest = after.approvals[0]
                expected[newest.load_id] = values(newest.cells)
                # the one who approved typed none of it
                assert newest.approved_by not in before.authors
                assert after.cells == before.cells
                assert all("v" in cell for cell in after.cells.values())
            if act == "undo" and before.standing is not None:
                undone.add(before.standing.load_id)
            living = [load for load in sorted(expected) if load not in undone]
            assert town.in_store(place) == (expected[living[-1]] if living else {})
            assert {a.load_id for a in after.approvals if a.stands} == set(living)
            seen.add(after.phase)
            before = after

    run()
    assert seen == set(Phase), f"these states were never reached: {set(Phase) - seen}"


def look(town: Town, place: Any) -> Any:
    officer = town.actor("ubnd-a", Role.OFFICER)
    return town.forms.look(officer, "waste", place.period.code, "ubnd-a").found


def do(
    town: Town, act: str, actor: Actor, place: Any, version: int, given_: dict[str, str], now: Any
) -> None:
    forms = town.forms
    if act in ("save", "submit"):
        forms.save(actor, place, given_, version=version, note="x", submit=act == "submit")
    elif act == "approve":
        forms.approve(actor, place, version)
    elif act == "return":
        forms.send_back(actor, place, version, "vì sao")
    elif act == "recall":
        forms.recall(actor, place, version)
    elif act == "correct":
        forms.correct(actor, place, version, "nhầm")
    elif act == "abandon":
        forms.abandon(actor, place, version)
    elif now.standing is not None:
        town.lake.undo(now.standing.load_id)


def clean(town: Town, place: Any) -> None:
    """Nothing of an earlier run is left of this month."""
    for approval in look(town, place).approvals:
        if approval.stands:
            town.lake.undo(approval.load_id)
    with town.db.transaction() as conn:
        conn.execute("DELETE FROM form_return WHERE period = %s", (place.period.code,))
