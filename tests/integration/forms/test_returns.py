"""A return's way: typed, handed in, approved into the store, locked, corrected with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dothi.forms import jobs
from dothi.forms.model import Phase, Place, State
from dothi.identity.model import Role
from dothi.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.files import FileStore
from dothi.lake.loading import load_file
from dothi.lake.model import Source
from dothi.lake.rows import batch_of
from tests.integration.forms.conftest import WASTE, Town

OFFICER, LEADER, DATA = Role.OFFICER, Role.LEADER, Role.DATA


def typed(town: Town, place: Place, version: int = 0, **values: Any) -> Any:
    return town.forms.save(town.actor(place.party.code, OFFICER), place, values, version=version)


def handed_in(town: Town, place: Place, version: int = 0, note: str = "", **values: Any) -> Any:
    return town.forms.save(
        town.actor(place.party.code, OFFICER), place, values, version=version, note=note,
        submit=True,
    )  # fmt: skip


def approved(town: Town, place: Place, **values: Any) -> Any:
    found = handed_in(town, place, **values)
    return town.forms.approve(town.actor(place.party.code, LEADER), place, found.version)


def look(town: Town, place: Place) -> Any:
    return town.forms.look(
        town.actor(place.party.code, OFFICER), place.dataset.name, place.period.code,
        place.party.code,
    )  # fmt: skip


def test_figures_enter_the_store_when_somebody_else_approves_them(town: Town) -> None:
    place = town.place()
    found = handed_in(town, place, collected="1.118,5", sorted="31")
    assert found.state is State.SUBMITTED
    assert town.in_store(place) == {}
    with pytest.raises(Forbidden, match="typed"):
        same = replace(town.actor("ubnd-a", OFFICER), roles=frozenset({OFFICER, LEADER}))
        town.forms.approve(same, place, found.version)
    town.forms.approve(town.actor("ubnd-a", LEADER), place, found.version)
    assert town.in_store(place) == {"collected": 1118.5, "sorted": 31.0}
    seen = look(town, place)
    assert seen.found.phase is Phase.APPROVED
    assert [act.what for act in seen.history] == ["approved", "submitted", "saved"]
    with town.db.transaction() as conn:
        row = conn.execute("SELECT door, actor, file_name, report FROM load").fetchone()
    assert row is not None
    assert row[0] == "form" and row[2] == place.subject
    assert row[3]["form"]["authors"] == [town.actor("ubnd-a", OFFICER).ref]
    assert row[1] == row[3]["form"]["approved_by"] == town.actor("ubnd-a", LEADER).ref


def test_a_draft_keeps_what_is_no_figure_and_says_all_that_is_wrong_at_once(town: Town) -> None:
    place = town.place()
    with pytest.raises(Invalid) as refused:
        handed_in(town, place, collected="mười hai", sorted="-3")
    assert {(f.where, f.key) for f in refused.value.faults} == {
        ("collected", "forms.not_number"),
        ("sorted", "forms.outside"),
    }
    kept = look(town, place)
    assert kept.found.state is State.DRAFT
    assert kept.found.cells == {"collected": {"t": "mười hai"}, "sorted": {"v": -3.0}}
    with pytest.raises(Invalid) as empty:
        handed_in(town, place, kept.found.version)
    assert [(f.where, f.key) for f in empty.value.faults] == [("collected", "forms.needed")]


def test_of_two_people_at_one_return_the_second_is_told(town: Town) -> None:
    place = town.place()
    first = typed(town, place, collected="5")
    town.forms.save(town.actor("ubnd-a", DATA, 7), place, {"collected": "6"}, version=first.version)
    with pytest.raises(Conflict, match="changed"):
        typed(town, place, first.version, collected="7")
    assert look(town, place).found.cells == {"collected": {"v": 6.0}}
    assert len(look(town, place).found.authors) == 2


def test_what_is_approved_is_locked_and_corrected_with_a_reason(town: Town) -> None:
    place = town.place()
    done = approved(town, place, collected="10")
    with pytest.raises(Conflict, match="locked"):
        typed(town, place, done.version, collected="11")
    officer, leader = town.actor("ubnd-a", OFFICER), town.actor("ubnd-a", LEADER)
    with pytest.raises(Invalid):
        town.forms.correct(officer, place, done.version, " ")
    town.forms.correct(officer, place, done.version, "Cộng nhầm tổ 4")
    assert town.in_store(place) == {"collected": 10.0}  # what was approved still counts
    at = look(town, place)
    assert at.found.phase is Phase.CORRECTING
    found = handed_in(town, place, at.found.version, collected="12")
    assert town.in_store(place) == {"collected": 10.0}
    town.forms.approve(leader, place, found.version)
    assert town.in_store(place) == {"collected": 12.0}
    history = look(town, place).history
    assert [a.what for a in history][:4] == ["approved", "submitted", "saved", "corrected"]
    assert history[2].changes == {"collected": [10.0, 12.0]}
    assert history[3].note == "Cộng nhầm tổ 4" and history[3].actor_name == officer.name


def test_a_correction_given_up_leaves_what_was_approved(town: Town) -> None:
    place = town.place()
    done = approved(town, place, collected="10")
    officer = town.actor("ubnd-a", OFFICER)
    town.forms.correct(officer, place, done.version, "x")
    typed(town, place, done.version + 1, collected="99")
    town.forms.abandon(officer, place, done.version + 2)
    seen = look(town, place)
    assert seen.found.phase is Phase.APPROVED
    assert seen.cells == {"collected": {"v": 10.0}}
    assert town.in_store(place) == {"collected": 10.0}


def test_an_undone_load_is_told_and_gives_back_what_stood_before(town: Town) -> None:
    place = town.place()
    done = approved(town, place, collected="10")
    officer, leader = town.actor("ubnd-a", OFFICER), town.actor("ubnd-a", LEADER)
    town.forms.correct(officer, place, done.version, "x")
    again = handed_in(town, place, done.version + 1, collected="12")
    town.forms.approve(leader, place, again.version)
    loads = [a.load_id for a in look(town, place).found.approvals]
    town.lake.undo(loads[0])
    seen = look(town, place)
    assert seen.found.phase is Phase.UNDONE
    assert seen.found.standing.revision == 1
    assert town.in_store(place) == {"collected": 10.0}
    town.lake.undo(loads[1])
    assert town.in_store(place) == {}
    assert look(town, place).found.standing is None
    # and it can be typed and approved anew
    town.forms.correct(officer, place, seen.found.version, "nhập lại")
    third = handed_in(town, place, seen.found.version + 1, collected="13")
    town.forms.approve(leader, place, third.version)
    assert town.in_store(place) == {"collected": 13.0}
    assert look(town, place).found.phase is Phase.APPROVED


def test_a_figure_that_moved_far_is_explained_before_it_is_handed_in(town: Town) -> None:
    approved(town, town.place(back=2), collected="10")
    place = town.place()
    seen = look(town, place)
    assert seen.earlier == {"": {"collected": 10.0}}
    with pytest.raises(Invalid) as refused:
        handed_in(town, place, collected="25")
    assert [f.key for f in refused.value.faults] == ["forms.jump_unexplained"]
    assert look(town, place).jumps == {("", "collected"): 150.0}
    found = handed_in(town, place, 1, note="Thêm hai khu dân cư mới", collected="25")
    assert found.state is State.SUBMITTED
    assert look(town, place).history[0].note == "Thêm hai khu dân cư mới"


def test_a_return_comes_back_with_a_reason_or_is_taken_back(town: Town) -> None:
    place = town.place()
    found = handed_in(town, place, collected="10")
    leader = town.actor("ubnd-a", LEADER)
    with pytest.raises(Invalid):
        town.forms.send_back(leader, place, found.version, "")
    town.forms.send_back(leader, place, found.version, "Thiếu tổ 7")
    seen = look(town, place)
    assert seen.found.phase is Phase.RETURNED and seen.found.reason == "Thiếu tổ 7"
    again = handed_in(town, place, seen.found.version, collected="14")
    town.forms.recall(town.actor("ubnd-a", OFFICER), place, again.version)
    assert look(town, place).found.phase is Phase.DRAFT
    assert town.in_store(place) == {}


def test_the_owner_of_the_data_approves_where_the_form_says_so(
    make_town: Callable[..., Town],
) -> None:
    town = make_town("owner")
    place = town.place()
    found = handed_in(town, place, collected="10")
    with pytest.raises(Forbidden):
        town.forms.approve(town.actor("ubnd-a", LEADER), place, found.version)
    with pytest.raises(NotFound):
        town.forms.approve(town.actor("so-khac", LEADER), place, found.version)
    town.forms.approve(town.actor("so-nnmt", LEADER), place, found.version)
    assert town.in_store(place) == {"collected": 10.0}


def test_without_approval_handing_in_is_what_stores(make_town: Callable[..., Town]) -> None:
    town = make_town("none")
    place = town.place()
    typed(town, place, collected="9")
    assert town.in_store(place) == {}
    assert handed_in(town, place, 1, collected="10").state is State.APPROVED
    assert town.in_store(place) == {"collected": 10.0}


def test_who_is_somebody_else_may_not_know_of_it(town: Town) -> None:
    place = town.place()
    typed(town, place, collected="10")
    for agency, role in (("ubnd-b", OFFICER), ("so-khac", LEADER), ("ubnd-b", LEADER)):
        with pytest.raises(NotFound):
            town.forms.look(town.actor(agency, role), "waste", place.period.code, "ubnd-a")
        with pytest.raises(NotFound):
            town.forms.save(town.actor(agency, role), place, {}, version=1)
    # the department for which it is sees it and types nothing
    reader = town.actor("so-nnmt", OFFICER)
    assert town.forms.look(reader, "waste", place.period.code, "ubnd-a").found.version == 1
    with pytest.raises(Forbidden):
        town.forms.save(reader, place, {"collected": "1"}, version=1)


def test_a_figure_that_another_dataset_has_is_not_typed_again(town: Town) -> None:
    place = town.place("counts")
    source = {"agency": "ubnd-a", "period": place.period.code, "received": 120}
    town.lake.commit(batch_of(town.lake, town.portal, [source], Source("file")))
    seen = look(town, place)
    assert seen.elsewhere == {"": {"received": 120}}
    found = typed(
        town, place, received="7", late="3", plan="online", closed="31/10/2026", sent="có"
    )
    assert found.cells == {
        "received": {"v": 120, "from": "portal"},
        "late": {"v": 3},
        "plan": {"v": "online"},
        "closed": {"v": "2026-10-31"},
        "sent": {"v": True},
    }
    # who may not read the source is not told its figure
    other = town.place("counts", "ubnd-b")
    source |= {"agency": "ubnd-b"}
    town.lake.commit(batch_of(town.lake, town.portal, [source], Source("file")))
    told = look(town, other)
    assert told.elsewhere == {} and told.hidden == {"received": "portal"}


def test_a_source_that_moves_before_approval_is_noticed(town: Town) -> None:
    place = town.place("counts")
    row = {"agency": "ubnd-a", "period": place.period.code, "received": 120}
    town.lake.commit(batch_of(town.lake, town.portal, [row], Source("file")))
    typed(town, place, late="3")
    attach(town, place)
    found = handed_in(town, place, 2, late="3")
    town.lake.commit(batch_of(town.lake, town.portal, [row | {"received": 130}], Source("file")))
    with pytest.raises(Conflict, match="portal"):
        town.forms.approve(town.actor("ubnd-a", LEADER), place, found.version)
    assert town.in_store(place) == {}


def attach(town: Town, place: Place) -> None:
    from tests.integration.forms.test_evidence import pdf

    officer = town.actor(place.party.code, OFFICER)
    at = look(town, place)
    typed_now = {k: c.get("v") for k, c in at.found.cells.items()}
    town.forms.save(
        officer, place, typed_now, version=at.found.version, uploads=[pdf(town, "late")]
    )


def test_rules_and_evidence_of_the_contract_hold_in_its_form(town: Town) -> None:
    place = town.place("counts")
    with pytest.raises(Invalid) as refused:
        handed_in(town, place, received="10", late="11")
    assert [(f.where, f.key) for f in refused.value.faults] == [("late", "forms.evidence_needed")]
    attach(town, place)
    with pytest.raises(Invalid) as again:
        handed_in(town, place, 2, received="10", late="11")
    assert [(f.where, f.key) for f in again.value.faults] == [("late", "forms.check_broken")]
    assert [(n, check.name) for n, check in look(town, place).broken] == [
        (1, "late_within")
    ]  # already a draft
    found = handed_in(town, place, 2, received="10", late="9")
    town.forms.approve(town.actor("ubnd-a", LEADER), place, found.version)
    assert town.in_store(place) == {"received": 10, "late": 9}


def test_rules_hold_between_the_quantities_of_a_series(town: Town) -> None:
    contract = parse_contract(
        WASTE.replace("dataset: waste", "dataset: checked").replace("APPROVAL", "own")
        + "checks: {within: {rule: sorted <= collected, title: {vi: Không quá, en: Within}}}"
    )
    with town.db.transaction() as conn:
        registry.register(conn, contract)
    place = town.place("checked")
    with pytest.raises(Invalid) as refused:
        handed_in(town, place, collected="5", sorted="5,5")
    assert [(f.where, f.key) for f in refused.value.faults] == [("sorted", "forms.check_broken")]
    assert handed_in(town, place, 1, collected="5").state is State.SUBMITTED


def test_a_later_load_of_another_door_is_told_on_the_return(town: Town) -> None:
    place = town.place()
    approved(town, place, collected="10")
    assert look(town, place).differs == ()
    row = {"commune": "ubnd-a", "time": place.period.start.isoformat(), "collected": 99}
    batch = batch_of(town.lake, town.waste, [row], Source("form"))
    batch.source = Source("decision")  # a person decides between two values, wherever they are from
    town.lake.commit(batch)
    assert look(town, place).differs == (("", "collected"),)


def test_no_other_door_brings_what_the_form_asks_for(town: Town, tmp_path: Path) -> None:
    """Files, pulls (files too) and rows of programs: nothing of a period of the form, no party that
    does not report; the years before may come."""
    since = {"waste": ("commune", "time"), "counts": ("agency", "period")}
    place = town.place()
    approved(town, place, collected="10")
    when = {"waste": place.period.start.isoformat(), "counts": place.period.code}
    before = {"waste": "2019-12-01T00:00:00+07:00", "counts": "2019-12"}
    files = FileStore(tmp_path / "loaded")
    for dataset in (town.waste, town.counts):
        party, period = since[dataset.name]
        figures = (
            {"collected": 99}
            if dataset is town.waste
            else {"received": 9, "late": 1, "closed": "2020-01-01", "sent": True}
        )
        for who in ("ubnd-a", "ubnd-nowhere"):
            old = {party: who, period: before[dataset.name], **figures}
            new = old | {period: when[dataset.name]}
            with pytest.raises(Invalid, match=f"/forms/{dataset.name}"):
                batch_of(town.lake, dataset, [old, new], Source("http"))
            with pytest.raises(Invalid, match=f"/forms/{dataset.name}"):
                load_file(town.lake, files, dataset, csv_of(tmp_path, [old, new]))
        assert len(batch_of(town.lake, dataset, [old], Source("http")).rows)
        assert load_file(town.lake, files, dataset, csv_of(tmp_path, [old])).outcome.new
    assert town.in_store(place) == {"collected": 10.0}
    assert look(town, place).differs == ()


def csv_of(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.csv"
    lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_what_is_late_is_told_once(town: Town) -> None:
    from dothi.kernel.time import local_date, utc_now
    from dothi.kernel.zone import VN

    today = local_date(utc_now(), VN)
    handed_in(town, town.place(back=1), collected="1")
    handed_in(town, town.place(back=2), note="x", collected="1")
    assert jobs.tell_late(town.db) > 0
    assert jobs.tell_late(town.db) == 0
    with town.db.transaction() as conn:
        rows = conn.execute("SELECT payload FROM event WHERE kind = 'form.late'").fetchall()
    told = {(p["dataset"], p["period"], p["party"]) for (p,) in rows}
    for (payload,) in rows:
        assert payload["due"] < today.isoformat()
    assert not {t for t in told if t[0] == "waste" and t[2] == "ubnd-a"}
    assert {t[2] for t in told if t[0] == "waste"} == {"ubnd-b", "ubnd-c"}


def test_a_late_return_is_a_task_of_its_agency_once(town: Town) -> None:
    from dothi.reactions import REACTIONS

    (reaction,) = [c for c in REACTIONS if c.name == "late_return_to_work"]
    told = jobs.tell_late(town.db)
    while reaction.advance(town.db):
        pass
    jobs.tell_late(town.db)
    while reaction.advance(town.db):
        pass
    with town.db.transaction() as conn:
        rows = conn.execute("SELECT kind, owner_agency, title->>'vi' FROM work_item").fetchall()
    assert len(rows) == told > 0
    assert {row[0] for row in rows} == {"task"}
    assert {row[1] for row in rows} == {town.ids[f"ubnd-{x}"] for x in "abc"}
    titles = {title for _, _, title in rows}
    assert len(titles) == told  # each says whose return it is
    assert all(title.startswith("Số liệu quá hạn nộp: UBND-") for title in titles)


@pytest.mark.parametrize("approval", ["own", "none"])
def test_a_late_task_ends_when_the_return_is_handed_in(
    make_town: Callable[..., Town], approval: str
) -> None:
    from dothi.reactions import REACTIONS

    town = make_town(approval)
    (reaction,) = [c for c in REACTIONS if c.name == "late_return_to_work"]
    told = jobs.tell_late(town.db)
    with town.db.transaction() as conn:
        rows = conn.execute("SELECT payload FROM event WHERE kind = 'form.late'").fetchall()
    (late,) = [p for (p,) in rows if (p["dataset"], p["party"]) == ("waste", "ubnd-a")]
    back = next(n for n in range(12) if town.month(n).code == late["period"])
    handed_in(town, town.place(back=back), note="x", collected="1")
    while reaction.advance(town.db):
        pass
    with town.db.transaction() as conn:
        rows = conn.execute(
            """SELECT w.dedupe_key, w.state, h.note FROM work_item w JOIN work_history h
               ON h.work_id = w.id WHERE w.closed_at IS NOT NULL ORDER BY h.id DESC LIMIT 1"""
        ).fetchall()
        left = conn.execute("SELECT count(*) FROM work_item WHERE closed_at IS NULL").fetchone()
    key = f"form:waste:{late['period']}:ubnd-a"
    assert rows == [(key, "verified", "Phiếu đã được gửi.")]
    assert left == (told - 1,)


def test_an_indicator_over_typed_figures_changes_with_the_approval(town: Town) -> None:
    """Typed once: what reads the dataset is told of the load, and would change without it."""
    approved(town, town.place(), collected="10")
    with town.db.transaction() as conn:
        rows = conn.execute(
            "SELECT payload FROM event WHERE kind = 'data.committed' ORDER BY id DESC LIMIT 1"
        ).fetchall()
    ((payload,),) = rows
    assert payload["dataset"] == town.waste.id and payload["door"] == "form"
    assert payload["spans"], "the recomputation knows which stretch is new"
