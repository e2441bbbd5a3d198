"""Who may do what: the whole table, the agency wall, and what errors give away."""

from typing import get_args

import pytest

from dothi.identity.model import ANONYMOUS, STAFF_ROLES, SYSTEM, Actor, Role
from dothi.identity.policy import (
    MATRIX,
    PERSONS_ONLY,
    PRIVATE,
    SEEN_BY,
    Action,
    Coarsening,
    Decision,
    Kind,
    Resource,
    Scope,
    Sharing,
    cache_key,
    decide,
    require,
    sharing_from_json,
    sharing_to_json,
    visible_rows,
)
from dothi.identity.predicate import FALSE, TRUE, Compare, In, all_of, any_of
from dothi.kernel.errors import Forbidden, NotFound, Unauthenticated
from dothi.kernel.i18n import LANGS, t

CENTRE, ENV, AIR, BUILD, ROAD, NORTH, HEALTH = range(1, 8)
GROUND = "a decision of the People's Committee, 1 March 2026"
ACTIONS: tuple[Action, ...] = get_args(Action)


def person(*roles: Role, agency: int = ENV, below: tuple[int, ...] = (AIR,)) -> Actor:
    return Actor("person", 7, agency, frozenset({agency, *below}), frozenset(roles))


def dataset(owner: int = ENV, sharing: Sharing = PRIVATE) -> Resource:
    return Resource("dataset", "air_quality", owner, sharing)


def test_every_action_has_its_line_in_the_table() -> None:
    assert set(ACTIONS) == set(MATRIX)
    for action, line in MATRIX.items():
        assert set(line) == set(Role), action


def test_every_kind_of_thing_says_who_may_know_it_exists() -> None:
    assert set(SEEN_BY) == set(get_args(Kind))
    assert set(SEEN_BY.values()) <= set(ACTIONS)


def test_roles_actions_and_reasons_read_in_both_languages() -> None:
    for lang in LANGS:
        for role in Role:
            assert t(f"identity.role.{role}", lang)
        for action in ACTIONS:
            assert t(f"identity.action.{action}", lang)


def test_the_public_may_only_read_what_is_shared_with_everybody() -> None:
    given = {action: line[Role.PUBLIC] for action, line in MATRIX.items()}
    # Which communes there are, and where, is no secret of anybody.
    open_to_all = {a for a, scope in given.items() if scope is not Scope.NONE}
    assert open_to_all == {"dataset.read", "unit.read"}
    assert given["dataset.read"] is Scope.PUBLIC


def test_an_auditor_changes_nothing() -> None:
    changes: set[Action] = {a for a in ACTIONS if not a.endswith(".read") and a != "system.status"}
    given = {a for a in changes if MATRIX[a][Role.AUDITOR] is not Scope.NONE}
    assert given == {"account.self"}


@pytest.mark.parametrize("role", sorted(STAFF_ROLES))
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("owner", [ENV, AIR, BUILD, None])
def test_a_role_reaches_as_far_as_the_table_says(
    role: Role, action: Action, owner: int | None
) -> None:
    allowed = decide(person(role), action, Resource("dataset", "x", owner)).allowed
    inside = {
        Scope.ALL: True,
        Scope.BRANCH: owner in (ENV, AIR),
        Scope.SHARED: owner in (ENV, AIR),
        Scope.OWN: owner == ENV,
        Scope.PUBLIC: False,
        Scope.SELF: False,
        Scope.NONE: False,
    }
    assert allowed is inside[MATRIX[action][role]]


def test_several_roles_add_up() -> None:
    both = person(Role.AUDITOR, Role.DATA)
    assert decide(both, "dataset.load", dataset()).allowed
    assert decide(both, "audit.read", Resource("audit")).allowed


def test_a_stranger_reads_public_data_without_its_hidden_columns() -> None:
    sharing = Sharing(
        public=True,
        rows=Compare("published", "=", True),
        hidden_columns=frozenset({"phone"}),
        coarsened=(Coarsening("location", 500),),
        ground=GROUND,
    )
    decision = decide(ANONYMOUS, "dataset.read", dataset(sharing=sharing))
    assert decision == Decision(
        True,
        Compare("published", "=", True),
        frozenset({"phone"}),
        (Coarsening("location", 500),),
        "identity.reason.shared",
    )


def test_the_owner_sees_all_columns_and_rows_of_what_it_shares() -> None:
    sharing = Sharing(public=True, rows=FALSE, hidden_columns=frozenset({"phone"}), ground=GROUND)
    decision = decide(person(Role.OFFICER), "dataset.read", dataset(sharing=sharing))
    assert (decision.rows, decision.hidden) == (TRUE, frozenset())


def test_sharing_by_name_reaches_the_agency_and_those_above_it_not_those_below() -> None:
    shared = dataset(ENV, Sharing(agencies=frozenset({ROAD}), ground=GROUND))
    named = person(Role.OFFICER, agency=ROAD, below=())
    above = person(Role.LEADER, agency=BUILD, below=(ROAD, NORTH))
    below = person(Role.OFFICER, agency=NORTH, below=())
    beside = person(Role.OFFICER, agency=HEALTH, below=())
    allowed = [decide(who, "dataset.read", shared).allowed for who in (named, above, below, beside)]
    assert allowed == [True, True, False, False]


def test_sharing_gives_reading_and_nothing_else() -> None:
    shared = dataset(BUILD, Sharing(public=True, agencies=frozenset({ENV}), ground=GROUND))
    given = {a for a in ACTIONS if decide(person(Role.DATA), a, shared).allowed}
    # Loads of shared data are visible to staff of the agencies it is shared with. A return is never
    # shared by decision: its sharing names the one agency it is handed in to.
    assert given == {"dataset.read", "load.read", "form.read", "agency.read", "unit.read"}


def test_a_list_of_many_agencies_things_shows_the_own_rows() -> None:
    inbox = Resource("work", agency_column="owner_agency")
    assert decide(person(Role.OFFICER), "work.read", inbox).rows == In("owner_agency", (ENV,))
    assert decide(person(Role.LEADER), "work.read", inbox).rows == In("owner_agency", (ENV, AIR))
    assert decide(person(Role.OPERATOR), "work.read", inbox).rows == TRUE
    assert not decide(ANONYMOUS, "work.read", inbox).allowed


def test_own_rows_and_shared_rows_come_together_with_the_hidden_columns_hidden() -> None:
    mixed = Resource(
        "dataset",
        "reports",
        CENTRE,
        Sharing(
            public=True,
            rows=Compare("published", "=", True),
            hidden_columns=frozenset({"phone"}),
            ground=GROUND,
        ),
        agency_column="agency",
    )
    decision = decide(person(Role.OFFICER), "dataset.read", mixed)
    assert decision.rows == any_of(In("agency", (ENV, AIR)), Compare("published", "=", True))
    assert decision.hidden == {"phone"}


def test_having_rows_in_anothers_dataset_gives_reading_them_and_nothing_else() -> None:
    mixed = Resource("dataset", "reports", CENTRE, agency_column="agency")
    given = {a for a in ACTIONS if decide(person(Role.DATA), a, mixed).allowed}
    assert given == {a for a in ACTIONS if a.endswith(".read")} - {"audit.read"}


def test_a_dataset_without_own_rows_stays_hidden() -> None:
    mixed = Resource(
        "dataset",
        "reports",
        CENTRE,
        agency_column="agency",
        row_agencies=frozenset({AIR, BUILD}),
    )
    assert decide(person(Role.OFFICER), "dataset.read", mixed).rows == In("agency", (AIR,))
    with pytest.raises(NotFound):
        require(person(Role.OFFICER, agency=HEALTH, below=()), "dataset.read", mixed)


def test_hidden_things_do_not_exist_for_those_who_may_not_see_them() -> None:
    for actor in (ANONYMOUS, person(Role.DATA)):
        for action in ("dataset.read", "dataset.load", "dataset.share"):
            with pytest.raises(NotFound):
                require(actor, action, dataset(BUILD))


def test_a_visible_thing_that_may_not_be_changed_is_refused_openly() -> None:
    public = dataset(BUILD, Sharing(public=True, ground=GROUND))
    with pytest.raises(Forbidden):
        require(person(Role.DATA), "dataset.load", public)
    with pytest.raises(Unauthenticated):
        require(ANONYMOUS, "dataset.load", public)


def test_a_door_says_who_it_is_for_instead_of_hiding() -> None:
    with pytest.raises(Unauthenticated):
        require(ANONYMOUS, "audit.read", Resource("audit"))
    with pytest.raises(Forbidden) as refused:
        require(person(Role.OFFICER), "audit.read", Resource("audit"))
    for lang in LANGS:
        assert refused.value.text(lang)


def test_only_the_own_account_is_ones_own() -> None:
    mine = Resource("account", "7", owner_account=7)
    other = Resource("account", "8", owner_account=8)
    assert require(person(Role.OFFICER), "account.self", mine).allowed
    with pytest.raises(NotFound):
        require(person(Role.OFFICER), "account.self", other)
    key = Actor("key", None, ENV, frozenset({ENV}), frozenset({Role.DATA}), key_prefix="ab")
    assert not decide(key, "account.self", Resource("account", "x")).allowed


def test_a_key_limited_to_loading_reads_only_what_everybody_reads() -> None:
    key = Actor(
        "key",
        agency_id=ENV,
        agencies=frozenset({ENV}),
        roles=frozenset({Role.DATA}),
        actions=frozenset({"dataset.load"}),
        key_prefix="ab",
    )
    assert decide(key, "dataset.load", dataset()).allowed
    assert not decide(key, "dataset.read", dataset()).allowed
    assert not decide(key, "key.manage", Resource("key", owner_agency=ENV)).allowed
    public = dataset(BUILD, Sharing(public=True, ground=GROUND))
    assert decide(key, "dataset.read", public).allowed


def test_a_key_never_gets_more_than_its_roles() -> None:
    key = Actor(
        "key",
        agency_id=ENV,
        agencies=frozenset({ENV}),
        roles=frozenset({Role.DATA}),
        actions=frozenset(ACTIONS),
        key_prefix="ab",
    )
    assert not decide(key, "account.manage", Resource("account", "1")).allowed


def test_a_key_makes_no_keys_and_no_accounts() -> None:
    key = Actor("key", agency_id=ENV, agencies=frozenset({ENV}), roles=STAFF_ROLES)
    assert not any(
        decide(key, action, Resource("key", "x", ENV)).allowed for action in PERSONS_ONLY
    )


def test_the_house_itself_may_do_everything() -> None:
    assert all(decide(SYSTEM, action, dataset()).rows == TRUE for action in ACTIONS)


def test_caches_are_shared_by_those_who_see_the_same_and_by_no_others() -> None:
    public = Sharing(public=True, hidden_columns=frozenset({"phone"}), ground=GROUND)
    resource = dataset(BUILD, public)
    stranger = decide(ANONYMOUS, "dataset.read", resource)
    outsider = decide(person(Role.OFFICER), "dataset.read", resource)
    owner = decide(person(Role.OFFICER, agency=BUILD, below=()), "dataset.read", resource)
    nobody = decide(ANONYMOUS, "dataset.read", dataset(BUILD))
    assert cache_key(stranger) == cache_key(outsider)
    assert len({cache_key(d) for d in (stranger, owner, nobody)}) == 3


def test_what_is_asked_for_is_cut_to_what_may_be_seen() -> None:
    inbox = Resource("work", agency_column="owner_agency")
    decision = decide(person(Role.OFFICER), "work.read", inbox)
    wanted = Compare("state", "=", "open")
    assert visible_rows(decision, wanted) == all_of(In("owner_agency", (ENV,)), wanted)
    assert visible_rows(decide(ANONYMOUS, "work.read", inbox), wanted) == FALSE


def test_sharing_without_a_legal_ground_is_refused() -> None:
    with pytest.raises(ValueError, match="legal ground"):
        Sharing(public=True)


def test_a_sharing_decision_survives_being_stored() -> None:
    sharing = Sharing(
        public=True,
        agencies=frozenset({CENTRE, ROAD}),
        rows=all_of(Compare("state", "<>", "draft"), In("kind", ("x", None))),
        hidden_columns=frozenset({"phone", "name"}),
        coarsened=(Coarsening("location", 250),),
        ground=GROUND,
    )
    assert sharing_from_json(sharing_to_json(sharing)) == sharing
    assert sharing_from_json({}) == PRIVATE
