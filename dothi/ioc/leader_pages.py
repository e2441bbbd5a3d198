"""The addresses of the leader's page: the page, its panels, urging, fixing the numbers."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from dothi.identity.model import Actor
from dothi.ioc import leader
from dothi.ioc.desk import Desk
from dothi.ioc.leader import BASE
from dothi.ioc.leader_view import LeaderView
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.web.view import Shell
from dothi.work.urging import Urging

Form = URLEncodedBody[dict[str, str]]
Asked = Request[Any, Any, Any]
TheActor = NamedDependency[Actor]
TheSite = NamedDependency[Site]
TheDesk = NamedDependency[Desk]


@get(BASE, opt={"access": "leader.open", "packed": True}, sync_to_thread=True)
def page(request: Asked, actor: TheActor, site: TheSite, desk: TheDesk) -> Response[Any]:
    """The leader's numbers, what is late, what moved."""
    leader.require_reader(actor)
    lang = lang_of(request)

    def make() -> tuple[Shell, LeaderView]:
        return site.shell(request, t("leader.title", lang), BASE), leader.page(desk, actor, lang)

    return site.kept_page(request, "leader.html", leader.topics(desk, actor), make)


@get(f"{BASE}/{{panel:str}}", opt={"access": "leader.open", "packed": True}, sync_to_thread=True)
def panel(
    request: Asked, panel: FromPath[str], actor: TheActor, site: TheSite, desk: TheDesk
) -> Any:
    """One panel alone, for live refreshing."""
    leader.require_reader(actor)
    lang = lang_of(request)
    makers = {"numbers": leader.numbers, "late": leader.late, "moved": leader.moved}
    if panel not in makers:
        raise NotFound("web.no_page")
    if "hx-request" not in request.headers:
        return see_other(f"{BASE}#{panel}")
    topics = leader.topics(desk, actor)
    return site.kept_fragment(
        request, f"leader/{panel}.html", topics, lambda: makers[panel](desk, actor, lang)
    )


# -- urging -----------------------------------------------------------------------------------------


@post(f"{BASE}/urge", opt={"access": "work.assign"}, status_code=303, sync_to_thread=True)
def urge_number(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, key: FromQuery[str] = ""
) -> Any:
    """Urge who answers for a number."""
    done = leader.urge_number(desk, actor, key)
    return _urged(request, site, done, leader.urge_id(key))


@post(
    f"{BASE}/work/{{code:str}}/urge", opt={"access": "work.assign"}, status_code=303,
    sync_to_thread=True,
)  # fmt: skip
def urge_item(
    request: Asked, code: FromPath[str], actor: TheActor, site: TheSite, desk: TheDesk
) -> Any:
    """Urge a late item on."""
    return _urged(request, site, leader.urge_item(desk, actor, code), leader.urge_id(code))


def _urged(request: Asked, site: Site, done: Urging, id_: str) -> Any:
    """For a script what stands where the button was, with what happened; for others the page."""
    if "hx-request" not in request.headers:
        return see_other(f"{BASE}?done={'urged' if done.new else 'urged_before'}#{id_}")
    view = leader.urged(done, id_, lang_of(request))
    answer = site.fragment(request, "leader/urged.html", view)
    answer.status_code = 200
    return answer


# -- fixing the numbers -----------------------------------------------------------------------------


@get(f"{BASE}/fix", opt={"access": "leader.fix"}, sync_to_thread=True)
def fix_form(request: Asked, actor: TheActor, site: TheSite, desk: TheDesk) -> Any:
    """The form that fixes the numbers, and how they were fixed before."""
    lang = lang_of(request)
    view = leader.fix_form(desk, actor, lang)
    return site.page(
        request, "leader_fix.html", site.shell(request, t("leader.fix", lang), BASE), view
    )


@post(f"{BASE}/fix", opt={"access": "leader.fix"}, status_code=303, sync_to_thread=True)
def fix_sent(request: Asked, data: Form, actor: TheActor, site: TheSite, desk: TheDesk) -> Any:
    """Fix them; with faults the form again, with what was sent."""
    lang = lang_of(request)
    try:
        leader.fix(desk, actor, data)
    except Invalid as error:
        view = leader.fix_form(desk, actor, lang, data, error)
        shell = site.shell(request, t("leader.fix", lang), BASE)
        answer = site.page(request, "leader_fix.html", shell, view)
        answer.status_code = 422
        return answer
    return see_other(f"{BASE}?done=saved")


router = Router(
    "/", route_handlers=[page, panel, urge_number, urge_item, fix_form, fix_sent],
    include_in_schema=False,
)  # fmt: skip
