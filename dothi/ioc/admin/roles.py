"""What each role may do, as the policy's table says."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Router, get
from litestar.di import NamedDependency

from dothi.identity.model import Role
from dothi.identity.policy import MATRIX, Resource, Scope, require
from dothi.ioc.admin.office import BASE, Option, Page, Visit
from dothi.kernel.i18n import t

URL = f"{BASE}/roles"


@dataclass(frozen=True)
class Right:
    """One action and how far it reaches for each role, in words; "" where it is not allowed."""

    action: str
    text: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class RolesView:
    roles: tuple[str, ...]
    rights: tuple[Right, ...]
    scopes: tuple[Option, ...]


@get(URL, opt={"access": "audit.read"}, sync_to_thread=True)
def role_list(visit: NamedDependency[Visit]) -> Page:
    """Who may do what."""
    require(visit.actor, "audit.read", Resource("audit"))
    lang = visit.lang
    rights = tuple(
        Right(
            action,
            t(f"identity.action.{action}", lang),
            tuple(_scope(scopes[role], lang) for role in Role),
        )
        for action, scopes in MATRIX.items()
    )
    view = RolesView(
        tuple(t(f"identity.role.{role.value}", lang) for role in Role),
        rights,
        tuple(
            Option(_scope(scope, lang), t(f"admin.scope_help_{scope.value}", lang))
            for scope in Scope
            if scope is not Scope.NONE
        ),
    )
    return visit.show("roles.html", URL, view, title=t("admin.roles", lang))


def _scope(scope: Scope, lang: str) -> str:
    return "" if scope is Scope.NONE else t(f"admin.scope_{scope.value}", lang)


router = Router("/", route_handlers=[role_list], include_in_schema=False)
