"""The one policy: may this actor do this action on this resource, and on which rows and columns?

Every door asks here: pages, APIs, tiles, counts, exports, caches, topics, SQL and search.
`decide` answers; `require` raises the error a door shows. `MATRIX` is the whole of who may do what.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal

from dothi.identity.model import Actor, Role
from dothi.identity.predicate import (
    FALSE,
    TRUE,
    In,
    Predicate,
    all_of,
    any_of,
    canonical,
    from_json,
    to_json,
)
from dothi.kernel.errors import Forbidden, NotFound, Unauthenticated

Kind = Literal[
    "dataset", "load", "form", "work", "duty", "account", "agency", "unit", "key", "audit",
    "system", "leader", "pull",
]  # fmt: skip

Action = Literal[
    "dataset.read",  # see its rows on a screen, through an API, as a file
    "dataset.define",  # make it, change its contract, retire it
    "dataset.load",  # put rows in, by whatever door
    "dataset.undo",  # take a load out again
    "dataset.share",  # decide who outside the owner sees what
    "target.set",  # say what its figures have to reach
    "load.read",  # who loaded which file when, with its quality report
    "quarantine.read",  # the rejected rows, as they came
    "conflict.decide",  # say which of two contradicting values holds
    "form.read",  # see a return: what an agency typed for a period, with its evidence
    "form.enter",  # type it, attach evidence, submit it, correct it
    "form.approve",  # approve or return what somebody else typed
    "work.read",
    "work.open",  # make a work item by hand
    "work.handle",  # accept, pause, add proof, report done
    "work.assign",  # give it to a person or another agency
    "work.judge",  # accept or refuse the result, close
    "duty.read",  # who is on call when, the shift log, the morning brief
    "duty.roster",  # say which shifts there are and who is in them
    "duty.log",  # write in the log, hand over, edit the brief: while on duty, or as a leader
    "duty.publish",  # publish the brief, and correct it afterwards
    "account.self",  # own profile, own password, own sessions
    "account.manage",
    "agency.read",
    "agency.manage",
    "unit.read",  # administrative units, their outlines and what became of them
    "unit.manage",
    "key.manage",
    "pull.manage",  # set up and run what is pulled from other people's databases
    "audit.read",
    "system.status",
    "leader.open",  # the page of the leader's numbers
    "leader.fix",  # say which numbers stand there, and who answers for each
]


class Scope(Enum):
    """How far a role's permission for an action reaches."""

    NONE = "-"
    ALL = "all"  # everything
    BRANCH = "branch"  # what the own agency or one below it owns
    OWN = "own"  # what the own agency owns, and what one merged into it owned
    SHARED = "shared"  # branch, and what its owner shared with one of these agencies or with all
    PUBLIC = "public"  # what its owner shared with everybody
    SELF = "self"  # what is the actor's own account


_COLUMNS = (
    Role.ADMIN,
    Role.OPERATOR,
    Role.OFFICER,
    Role.LEADER,
    Role.DATA,
    Role.AUDITOR,
    Role.PUBLIC,
)

# A person with several roles may do what any of them may; everybody has the last column.
#                    admin    operator officer  leader   data     auditor  public
_TABLE: dict[Action, str] = {
    "dataset.read":    "all      shared   shared   shared   shared   shared   public",
    "dataset.define":  "all      -        -        -        branch   -        -     ",
    "dataset.load":    "all      -        -        -        branch   -        -     ",
    "dataset.undo":    "all      -        -        -        branch   -        -     ",
    "dataset.share":   "all      -        -        branch   -        -        -     ",
    "target.set":      "all      -        -        branch   branch   -        -     ",
    "load.read":       "all      shared   shared   shared   shared   all      -     ",
    "quarantine.read": "all      branch   own      branch   branch   all      -     ",
    "conflict.decide": "all      -        -        branch   branch   -        -     ",
    "form.read":       "all      shared   shared   shared   shared   all      -     ",
    "form.enter":      "all      -        own      -        own      -        -     ",
    "form.approve":    "all      -        -        branch   -        -        -     ",
    "work.read":       "all      all      own      branch   own      all      -     ",
    "work.open":       "all      all      own      branch   own      -        -     ",
    "work.handle":     "all      all      own      branch   -        -        -     ",
    "work.assign":     "all      all      -        branch   -        -        -     ",
    "work.judge":      "all      all      -        branch   -        -        -     ",
    "duty.read":       "all      all      own      branch   own      all      -     ",
    "duty.roster":     "all      own      -        branch   -        -        -     ",
    "duty.log":        "-        own      own      branch   own      -        -     ",
    "duty.publish":    "-        own      own      branch   own      -        -     ",
    "account.self":    "self     self     self     self     self     self     -     ",
    "account.manage":  "all      -        -        -        -        -        -     ",
    "agency.read":     "all      all      all      all      all      all      -     ",
    "agency.manage":   "all      -        -        -        -        -        -     ",
    "unit.read":       "all      all      all      all      all      all      all   ",
    "unit.manage":     "all      -        -        -        -        -        -     ",
    "key.manage":      "all      -        -        -        branch   -        -     ",
    "pull.manage":     "all      -        -        -        branch   -        -     ",
    "audit.read":      "all      -        -        -        -        all      -     ",
    "system.status":   "all      all      -        -        -        all      -     ",
    "leader.open":     "all      -        -        all      -        -        -     ",
    "leader.fix":      "all      -        -        branch   -        -        -     ",
}  # fmt: skip

MATRIX: Mapping[Action, Mapping[Role, Scope]] = MappingProxyType(
    {
        action: MappingProxyType(
            dict(zip(_COLUMNS, (Scope(word) for word in line.split()), strict=True))
        )
        for action, line in _TABLE.items()
    }
)

PERSONS_ONLY: frozenset[Action] = frozenset(
    {
        "account.self", "account.manage", "agency.manage", "unit.manage", "key.manage",
        "pull.manage", "duty.log", "duty.publish", "form.approve",
    }
)  # fmt: skip
"""What no key may do: a stolen key must not be able to make itself a successor, and what was written
or published on duty, or approved, has a person's name."""

SEEN_BY: Mapping[Kind, Action] = MappingProxyType(
    {
        "dataset": "dataset.read",
        "load": "load.read",
        "form": "form.read",
        "work": "work.read",
        "duty": "duty.read",
        "account": "account.manage",
        "agency": "agency.read",
        "unit": "unit.read",
        "key": "key.manage",
        "pull": "pull.manage",
        "audit": "audit.read",
        "system": "system.status",
        "leader": "leader.open",
    }
)
"""The action that shows a thing of this kind exists; who may not do it gets NotFound."""


@dataclass(frozen=True, slots=True)
class Coarsening:
    """A geometry or coordinate column that outsiders get only by the cell it lies in."""

    column: str
    cell_m: int


@dataclass(frozen=True, slots=True)
class Sharing:
    """A dataset owner's decision about everyone outside the owner, and what entitles them to it.

    `agencies` are shared with by name, and so with those above them, not with those below. `rows`
    limits which rows are shared. `ground` cites the legal basis (instrument, article, date); a
    decision that shares anything has one.
    """

    public: bool = False
    agencies: frozenset[int] = frozenset()
    rows: Predicate = TRUE
    hidden_columns: frozenset[str] = frozenset()
    coarsened: tuple[Coarsening, ...] = ()
    ground: str = ""

    def __post_init__(self) -> None:
        if (self.public or self.agencies) and not self.ground.strip():
            raise ValueError("a sharing decision needs its legal ground")


PRIVATE = Sharing()


@dataclass(frozen=True, slots=True)
class Resource:
    """What an action is done on, as far as the policy must know it.

    `id` is None for a door rather than a thing ("the list of work items"): that it exists is no
    secret. `agency_column` names the int column that holds each row's agency, where rows of several
    agencies stand together: they may each read their own. `row_agencies` says which agencies have
    rows there; without it (None) every agency may, and so learns that the thing exists.
    `owner_account` is set for what belongs to one person.
    """

    kind: Kind
    id: str | None = None
    owner_agency: int | None = None
    sharing: Sharing = PRIVATE
    agency_column: str | None = None
    row_agencies: frozenset[int] | None = None
    owner_account: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The policy's answer. `reason_key` is a catalogue key that says why, for people.

    `hidden` columns must not be selected, filtered or sorted by; `coarsened` ones only as cells.
    """

    allowed: bool
    rows: Predicate
    hidden: frozenset[str]
    coarsened: tuple[Coarsening, ...]
    reason_key: str


def decide(actor: Actor, action: Action, resource: Resource) -> Decision:
    """What the policy says, without raising. Where rows come from both inside and outside the
    actor's agencies, what is hidden from outsiders is hidden in all of them."""
    scopes = _scopes(actor, action)
    inside = _agencies(actor, scopes)
    if Scope.ALL in scopes or resource.owner_agency in inside:
        return _whole("identity.reason.role")
    owner = resource.owner_account
    if Scope.SELF in scopes and owner is not None and owner == actor.account_id:
        return _whole("identity.reason.own_account")
    own_rows = _own_rows(inside, action, resource)
    sharing = resource.sharing
    if _reaches(actor, scopes, sharing):
        return Decision(
            True,
            any_of(own_rows, sharing.rows),
            sharing.hidden_columns,
            sharing.coarsened,
            "identity.reason.shared",
        )
    if own_rows != FALSE:
        return Decision(True, own_rows, frozenset(), (), "identity.reason.own_rows")
    return Decision(False, FALSE, frozenset(), (), _refusal(actor, scopes))


def require(actor: Actor, action: Action, resource: Resource) -> Decision:
    """The decision, if it allows; otherwise the error that tells no more than the actor may know.

    NotFound for a thing whose existence is hidden from them, Unauthenticated where signing in
    could help, Forbidden for the rest.
    """
    decision = decide(actor, action, resource)
    if decision.allowed:
        return decision
    if resource.id is not None and not decide(actor, SEEN_BY[resource.kind], resource).allowed:
        raise NotFound("identity.not_found")
    if not actor.signed_in:
        raise Unauthenticated("identity.unauthenticated")
    raise Forbidden(decision.reason_key)


def cache_key(decision: Decision) -> str:
    """The same for decisions that show the same: what a cache must be keyed by, never the actor."""
    if not decision.allowed:
        return "nothing"
    shown = [
        canonical(decision.rows),
        sorted(decision.hidden),
        sorted((item.column, item.cell_m) for item in decision.coarsened),
    ]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:32]


def visible_rows(decision: Decision, wanted: Predicate = TRUE) -> Predicate:
    """What a reader asked for, within what they may see."""
    return all_of(decision.rows, wanted)


def sharing_to_json(sharing: Sharing) -> dict[str, Any]:
    """The decision as a contract or an event holds it."""
    return {
        "public": sharing.public,
        "agencies": sorted(sharing.agencies),
        "rows": to_json(sharing.rows),
        "hidden_columns": sorted(sharing.hidden_columns),
        "coarsened": [{"column": c.column, "cell_m": c.cell_m} for c in sharing.coarsened],
        "ground": sharing.ground,
    }


def sharing_from_json(value: Mapping[str, Any]) -> Sharing:
    """The inverse of `sharing_to_json`; absent parts share nothing and hide nothing."""
    return Sharing(
        public=bool(value.get("public", False)),
        agencies=frozenset(value.get("agencies", ())),
        rows=from_json(value.get("rows", True)),
        hidden_columns=frozenset(value.get("hidden_columns", ())),
        coarsened=tuple(
            Coarsening(str(item["column"]), int(item["cell_m"]))
            for item in value.get("coarsened", ())
        ),
        ground=str(value.get("ground", "")),
    )


def _scopes(actor: Actor, action: Action) -> frozenset[Scope]:
    if actor.kind == "system":
        return frozenset({Scope.ALL})
    roles = {Role.PUBLIC}
    if _may_use_roles(actor, action):
        roles |= actor.roles
    return frozenset(MATRIX[action][role] for role in roles) - {Scope.NONE}


def _may_use_roles(actor: Actor, action: Action) -> bool:
    if actor.kind == "key":
        return action not in PERSONS_ONLY and (actor.actions is None or action in actor.actions)
    return actor.kind == "person"


def _agencies(actor: Actor, scopes: frozenset[Scope]) -> frozenset[int]:
    """The agencies whose things the actor stands inside of."""
    if Scope.BRANCH in scopes or Scope.SHARED in scopes:
        return actor.agencies
    if Scope.OWN in scopes and actor.agency_id is not None:
        return frozenset({actor.agency_id}) | actor.predecessors
    return frozenset()


def _own_rows(inside: frozenset[int], action: Action, resource: Resource) -> Predicate:
    """The rows of the actor's agencies in what another agency owns. They give reading only: who
    has a row in a dataset does not thereby load or undo in it."""
    if resource.agency_column is None or not action.endswith(".read"):
        return FALSE
    if resource.row_agencies is not None:
        inside &= resource.row_agencies
    return In(resource.agency_column, tuple(sorted(inside))) if inside else FALSE


def _reaches(actor: Actor, scopes: frozenset[Scope], sharing: Sharing) -> bool:
    by_name = Scope.SHARED in scopes and not sharing.agencies.isdisjoint(actor.agencies)
    to_all = sharing.public and bool(scopes & {Scope.SHARED, Scope.PUBLIC})
    return by_name or to_all


def _whole(reason_key: str) -> Decision:
    return Decision(True, TRUE, frozenset(), (), reason_key)


def _refusal(actor: Actor, scopes: frozenset[Scope]) -> str:
    if not actor.signed_in:
        return "identity.reason.not_signed_in"
    return "identity.reason.other_agency" if scopes else "identity.reason.no_role"
