"""Every address of the application × everybody × whose thing it is → what they get.

`access.yaml` says what; an address that is not in it, or one in it that is no more, fails here.
"""

from __future__ import annotations

import hashlib
import html
import re
import secrets
from collections.abc import Callable
from datetime import date, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml
from litestar import Litestar

from dothi.identity import keys, links
from dothi.identity.accounts import create_account
from dothi.identity.agencies import add_agency
from dothi.identity.model import SYSTEM, Agency, Role
from dothi.identity.passwords import Passwords
from dothi.identity.policy import MATRIX
from dothi.kernel.time import VN, utc_now
from dothi.pulls import service as pulls
from dothi.work.duty import brief, roster
from dothi.work.duty.bringing import Bringing
from dothi.work.duty.model import Days
from dothi.work.duty.roster import NewShift
from dothi.work.duty.roster_file import Line
from tests.contract import returns
from tests.contract.world import OTHERS, OURS, PASSWORD, SHARINGS, UNIT, World

EXPECTED: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("access.yaml").read_text("utf-8")
)
ACTORS: list[str] = EXPECTED["actors"]
ROUTES: dict[str, dict[str, str]] = EXPECTED["routes"]
NOWHERE = 2_000_000_000
TARGET = {"figure": "vn_aqi_daily aqi", "grain": "day", "place": f"agency:{OURS}",
          "direction": "at_most", "value": "100", "valid_from": "2026-01-01", "ground": "for tests"}  # fmt: skip
CHEAP = Passwords(memory_kib=1024, passes=1)


def handlers_of(app: Litestar) -> dict[str, Any]:
    """The application's own handlers by method and path; the framework answers OPTIONS itself."""
    return {
        f"{method} {route.path}": handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        for method in handler.http_methods
        if method != "OPTIONS"
    }


def test_every_address_is_listed_and_every_listed_one_exists(town: World) -> None:
    there = set(handlers_of(town.app))
    assert there - set(ROUTES) == set(), "say in access.yaml who may use them"
    assert set(ROUTES) - there == set(), "these addresses are gone"


def test_every_handler_says_which_action_of_the_policy_it_needs(town: World) -> None:
    for name, handler in handlers_of(town.app).items():
        assert "access" in handler.opt, name
        needs = handler.opt["access"]
        assert needs is None or needs in MATRIX, f"{name}: no such action as {needs}"


def test_every_line_names_a_status_for_everybody() -> None:
    for name, lines in ROUTES.items():
        for what, line in lines.items():
            assert len(line.split()) == len(ACTORS), f"{name}, {what}"


@pytest.mark.parametrize("route", ROUTES)
def test_everybody_gets_what_the_policy_gives_them(town: World, route: str) -> None:
    method, path = route.split(" ", 1)
    wrong = []
    for what, line in ROUTES[route].items():
        for who, status in zip(ACTORS, line.split(), strict=True):
            with town.client(who) as client:
                got = ASKING.get(route, _plainly)(town, client, method, path, what)
            if got.status_code != int(status):
                wrong.append(f"{who}, {what}: {got.status_code} instead of {status}")
    assert wrong == []


def test_a_hidden_thing_and_a_missing_one_give_the_same_answer(town: World) -> None:
    """Otherwise the answer would tell that the thing exists."""
    for path, there in (
        ("/api/v1/datasets/{}", town.datasets["other"].name),
        ("/api/v1/loads/{}", town.loads["other"]),
        ("/api/v1/loads/{}/quarantine.csv", town.loads["other"]),
        ("/api/v1/streams/{}/rows.csv", town.stream("other")),
        ("/work/{}", town.new_work("other")),
    ):
        missing = "VV-2026-999999" if path.startswith("/work") else NOWHERE
        with town.client("officer") as client:
            hidden = client.get(path.format(there)).json()
            absent = client.get(path.format(missing)).json()
        assert hidden.pop("instance") != absent.pop("instance")
        assert hidden == absent, path


SHOWN_AT = {
    "{name:str}": "GET /api/v1/datasets/{name:str}",
    "{indicator:str}": "GET /api/v1/indicators/{indicator:str}",
    "{unit:str}": "GET /api/v1/units/{unit:str}",
    "{service:str}": "GET /services/{service:str}",
    "{stream_id:int}": "GET /api/v1/streams/{stream_id:int}/chart",
    "{load_id:int}": "GET /api/v1/loads/{load_id:int}",
    "{conflict_id:int}": "GET /api/v1/loads/{load_id:int}",
    "{code:str}": "GET /work/{code:str}",
    "{agency:str}": "GET /admin/agencies/{agency:str}",
    "{form:str}": "GET /forms/{form:str}/{period:str}/{party:str}",
    "{party:str}": "GET /forms/{form:str}/{period:str}/{party:str}",
    "{account_id:int}": "GET /admin/accounts/{account_id:int}",
    "{prefix:str}": "GET /admin/keys/{prefix:str}",
    "{pull:str}": "GET /admin/pulls/{pull:str}",
    "{source:str}": "GET /admin/pull-sources/{source:str}",
    "{day:str}": "GET /duty/brief/{day:str}",
}
"""The address that shows a thing, or what it is part of, to who may know of it."""
NO_THINGS = {
    "{panel:str}", "{row:int}", "{what:str}", "{tree:str}", "{digest:str}", "{path:path}",
    "{period:str}", "{act:str}", "{sha256:str}", "{number:int}",
}  # fmt: skip


def test_nobody_is_refused_a_thing_they_may_not_know_of(town: World) -> None:
    """Whoever cannot look at a thing meets the answer for a missing one at all its addresses."""
    for route in handlers_of(town.app):
        method, path = route.split(" ", 1)
        parts = [part for part in path.split("/") if part.startswith("{")]
        assert {*parts} <= {*SHOWN_AT, *NO_THINGS}, f"{route}: where is this thing shown?"
        for show in (SHOWN_AT[part] for part in parts if part in SHOWN_AT):
            for what in set(ROUTES[route]) - {"missing"}:
                for place, who in enumerate(ACTORS):
                    if ROUTES[show][what].split()[place] != "404":
                        continue
                    ask = ASKING.get(route, _plainly)
                    with town.client(who) as client:
                        got = ask(town, client, method, path, what)
                        absent = ask(town, client, method, path, "missing")
                    if got.status_code < 400:
                        continue  # a key that may load, but not look
                    told, none = got.json(), absent.json()
                    assert told.pop("instance") != none.pop("instance")
                    assert (told, told["status"]) == (none, 404), f"{who}, {what}: {route}"


@pytest.mark.parametrize("route", [route for route in ROUTES if route.startswith("GET ")])
def test_head_answers_as_get_without_the_body(town: World, route: str) -> None:
    path = route.removeprefix("GET ")
    for what in ROUTES[route]:
        for who in ("admin", "officer", "anonymous"):
            with town.client(who) as client:
                ask = ASKING.get(route, _plainly)
                # One thing for both: asking for a work item makes a new one each time.
                got = ask(town, client, "GET", path, what)
                head = client.head(got.request.url, headers=got.request.headers)
            assert head.status_code == got.status_code, f"{who}, {what}"
            assert head.content == b""
            for name in ("content-type", "content-security-policy", "content-disposition"):
                assert head.headers.get(name) == got.headers.get(name), f"{who}, {what}: {name}"


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("admin", {"own", "other", "public", "shared"}),
        ("officer", {"own", "public", "shared"}),
        ("auditor", {"own", "public", "shared"}),
        ("anonymous", {"public"}),
        ("key", {"own", "public", "shared"}),
        ("feeder", {"public"}),
    ],
)
def test_the_list_of_datasets_holds_what_one_may_read(
    town: World, who: str, seen: set[str]
) -> None:
    with town.client(who) as client:
        listed = {one["name"] for one in client.get("/api/v1/datasets").json()}
    assert {what for what in SHARINGS if f"{what}_gauges" in listed} == seen


def test_lists_of_work_items_and_loads_hold_only_what_one_may_see(town: World) -> None:
    codes = {what: town.new_work(what) for what in ("own", "other")}
    files = {f"/loads/{town.loads[what]}": what for what in SHARINGS}
    for who, works, loads in (
        ("operator", {"own", "other"}, {"own", "public", "shared"}),
        ("officer", {"own"}, {"own", "public", "shared"}),
        ("auditor", {"own", "other"}, {"own", "other", "public", "shared"}),
    ):
        with town.client(who) as client:
            page = _all_pages(client, "/work")
            assert {what for what, code in codes.items() if code in page} == works, who
            page = _all_pages(client, "/loads")
            assert {what for url, what in files.items() if f'"{url}"' in page} == loads, who


def _all_pages(client: httpx.Client, path: str) -> str:
    import re

    text, url = "", path
    while url:
        page = client.get(url, headers={"hx-request": "true"}).text
        text += page
        found = re.search(rf'href="({path}\?[^"]*(?:after|before)=[^"]+)"', page)
        url = found[1].replace("&amp;", "&") if found else ""
    return text


# -- how each address is asked ------------------------------------------------------------------


def _name(town: World, what: str) -> str:
    return "no_such_dataset" if what == "missing" else town.datasets[what].name


def _plainly(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    address = (
        path.replace("{name:str}", _name(town, what) if "{name" in path else "")
        .replace("{indicator:str}", "none" if what == "missing" else "vn_aqi_hourly")
        .replace("{unit:str}", "NONE" if what == "missing" else UNIT)
        .replace("{service:str}", "none" if what == "missing" else "street-lighting")
        .replace("{load_id:int}", str(town.loads.get(what, NOWHERE)))
        .replace("{panel:str}", "nothing" if what == "missing" else what)
    )
    if "{stream_id" in path:
        number = NOWHERE if what == "missing" else town.stream(what)
        address = address.replace("{stream_id:int}", str(number))
    headers = {"hx-request": "true"} if "{panel" in path else {}
    return client.request(method, address, headers=headers)


def _pack_panel(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return _plainly(town, client, method, path.replace("{panel:str}", "tiles"), what)


def _rows(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    row = {"station": "G1", "time": "2026-01-02T03:00:00Z", "level": 2.5}
    return client.post(f"/api/v1/datasets/{_name(town, what)}/rows", json={"rows": [row]})


def _file(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.post(f"/api/v1/datasets/{_name(town, what)}/files", files=town.fresh_file())


def _file_by_form(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.post(f"/loads/into/{_name(town, what)}", files=town.fresh_file())


def _thing(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.post(f"/api/v1/datasets/{_name(town, what)}/things", json={"key": ["G1"]})


def _sql(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.post(path, json={"sql": "SELECT 1 AS one"})


def _undo(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    load = NOWHERE if what == "missing" else town.new_load(what)
    return client.request(method, path.replace("{load_id:int}", str(load)))


def _decide(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    number = NOWHERE if what == "missing" else town.new_conflict(what)
    address = path.replace("{conflict_id:int}", str(number)).replace("{row:int}", "3")
    return client.post(address, json={"keep": 3} if address.startswith("/api") else None)


def _work(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    code = "VV-2026-999999" if what == "missing" else town.new_work(what)
    address = path.replace("{code:str}", code).replace("{what:str}", "accept")
    return client.request(method, address, params={"version": 1} if method == "POST" else None)


def _urged(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    code = "VV-2026-999999" if what == "missing" else town.new_work(what)
    return client.post(path.replace("{code:str}", code))


def _form(fields: dict[str, str]) -> Callable[..., Any]:
    def ask(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
        return client.post(path, data=fields)

    return ask


def _withdraw(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    address = path.replace("{number:int}", str(NOWHERE))
    return client.post(address, data={"reason": "for tests"})


def _live(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    with client.stream("GET", path, params={"topics": "work,series:other_gauges"}) as answer:
        return httpx.Response(answer.status_code, headers=answer.headers, request=answer.request)


def _static(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.get("/static/app/any/css/base.css")


def _agency(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    """An agency; one that changes or ends is made for it, below ours or another one."""
    if what == "missing":
        code = "no-such-agency"
    elif method == "GET":
        code = OURS if what == "own" else OTHERS
    else:
        code = f"x{secrets.token_hex(6)}"
        with town.house.db.transaction() as conn:
            add_agency(conn, Agency(code, "Chi cục", "Branch", OURS), actor=SYSTEM)
    fields = {
        "name_vi": "Chi cục", "name_en": "Branch", "into": OTHERS, "on": "2026-01-01",
        "ground": "Quyết định 1/QĐ-UBND",
    }  # fmt: skip
    sent: dict[str, Any] = {"data": fields} if method == "POST" else {}
    return client.request(method, path.replace("{agency:str}", code), **sent)


def _new_agency(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    code = f"x{secrets.token_hex(6)}"
    return client.post(path, data={"code": code, "name_vi": "Chi cục", "name_en": "Branch"})


def _account(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    number = NOWHERE
    if what != "missing":
        with town.house.db.transaction() as conn:
            number = create_account(
                conn, login=f"x{secrets.token_hex(6)}", display_name="x", agency=OURS,
                roles=[Role.OFFICER], password=PASSWORD, hasher=CHEAP, actor=SYSTEM,
            ).id  # fmt: skip
    address = path.replace("{account_id:int}", str(number)).replace("{what:str}", "lock")
    fields = {"agency": OURS, "roles.leader": "on"}
    sent: dict[str, Any] = {"data": fields} if method == "POST" else {}
    return client.request(method, address, **sent)


def _links(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    """An identity of a provider is taken away from an account made for it."""
    number, subject = NOWHERE, secrets.token_hex(8)
    if what != "missing":
        with town.house.db.transaction() as conn:
            number = create_account(
                conn, login=f"x{secrets.token_hex(6)}", display_name="x", agency=OURS,
                roles=[Role.OFFICER], password=PASSWORD, hasher=CHEAP, actor=SYSTEM,
            ).id  # fmt: skip
            links.link(conn, number, "https://id.example", subject, actor=SYSTEM, now=utc_now())
    fields = {"issuer": "https://id.example", "subject": subject, "remove": "1"}
    return client.post(path.replace("{account_id:int}", str(number)), data=fields)


def _new_account(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    fields = {
        "login": f"x{secrets.token_hex(6)}", "display_name": "x", "agency": OURS,
        "roles.officer": "on",
    }  # fmt: skip
    return client.post(path, data=fields)


def _key(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    prefix = "aaaaaaaa"
    if what != "missing":
        agency = OURS if what == "own" else OTHERS
        with town.house.db.transaction() as conn:
            key, _ = keys.issue(
                conn, name="x", agency=agency, roles=[Role.DATA], actor=SYSTEM, now=utc_now()
            )
        prefix = key.prefix
    return client.request(method, path.replace("{prefix:str}", prefix))


def _source_fields(agency: str) -> dict[str, str]:
    return {
        "name": f"s{secrets.token_hex(6)}", "agency": agency, "kind": "mysql", "tls": "verify",
        "host": "10.1.2.3", "database": "motcua", "account": "doc",
    }  # fmt: skip


def _pull_fields(town: World, what: str) -> dict[str, str]:
    """A pull of a new source, for a dataset of the same agency."""
    fields = _source_fields(OURS if what == "own" else OTHERS)
    with town.house.db.transaction() as conn:
        pulls.add_source(conn, SYSTEM, fields)
    return {
        "name": f"p{secrets.token_hex(6)}", "source": fields["name"], "dataset": f"{what}_gauges",
        "query": "SELECT 1 AS gauge", "mark": "", "every_min": "60",
    }  # fmt: skip


def _pull(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    names = {"pull": "khong-co", "source": "khong-co"}
    if what != "missing":
        fields = _pull_fields(town, what)
        with town.house.db.transaction() as conn:
            pulls.add_pull(conn, SYSTEM, fields)
        names = {"pull": fields["name"], "source": fields["source"]}
    for word, name in names.items():
        path = path.replace(f"{{{word}:str}}", name)
    path = path.replace("{what:str}", "off")
    return client.request(method, path, data={"password": "x"} if method == "POST" else None)


def _new_source(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.post(path, data=_source_fields(OURS))


def _new_pull(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.post(path, data=_pull_fields(town, "own"))


def _new_key(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    fields = {"name": "x", "agency": OURS, "lifetime": "30", "roles.data": "on"}
    return client.post(path, data=fields)


def _share(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    """A decision for a day to come, so that it changes nothing for the other lines."""
    fields = {"level": "none", "ground": "Quyết định 1/QĐ-UBND", "valid_from": "2999-01-01"}
    return client.post(path.replace("{name:str}", _name(town, what)), data=fields)


def _figure(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.get(path, params={"what": "figure", "key": what})


def _explain(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    asked = {"indicator": "vn_aqi_hourly", "thing": NOWHERE, "period": "2026-01-02T03"}
    return client.get(path, params=asked)


def _give(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    due = utc_now().astimezone(VN) + timedelta(days=1)
    fields = {"agency": OURS, "severity": "notice", "due": f"{due:%Y-%m-%dT%H:%M}", "note": "x"}
    sent: dict[str, Any] = {"data": fields} if method == "POST" else {}
    return client.request(method, path, params={"key": what}, **sent)


def _duty(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    """The duty of an agency; each has the brief of one day, and a shift is added to it."""
    code = {"own": OURS, "other": OTHERS, "-": ""}.get(what, "no-such-agency")
    if what in ("own", "other"):
        brief.make(town.house.db, town.agencies[code], date(2026, 1, 2), lambda: ())
    address = path.replace("{day:str}", "2026-01-03" if what == "missing" else "2026-01-02")
    fields: dict[str, str] = {}
    if method == "POST":
        doing = {"roster": "add-shift", "log": "write", "brief": "save"}[path.split("/")[2]]
        address = address.replace("{what:str}", doing)
        fields = {
            "name": "Ca", "begins": "06:00", "ends": "14:00", "days": "every", "from": "2026-01-01",
            "kind": "event", "text": "x", "version": "1",
        }  # fmt: skip
    asked = {"agency": code} if code else {}
    sent: dict[str, Any] = {"data": fields} if fields else {}
    return client.request(method, address, params=asked, **sent)


def _bring(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    """A roster that says of one turn that nobody is in it, as is the case."""
    code = {"own": OURS, "other": OTHERS}.get(what, "no-such-agency")
    name = f"Ca {secrets.token_hex(4)}"
    if what in ("own", "other"):
        new = NewShift(name=name, begins=clock(6), ends=clock(14), days=Days.EVERY,
                       valid_from=date(2026, 1, 1))  # fmt: skip
        with town.house.db.transaction() as conn:
            roster.add_shift(conn, SYSTEM, town.agencies[code], new)
    on = (utc_now().astimezone(VN) + timedelta(days=2)).date().isoformat()
    if path.endswith("/take"):
        line = Line(2, on, name, "", "", "", "nobody on duty")
        sent = {"lines": msgspec.json.encode([line]).decode(), "name": "x.csv",
                "mark": Bringing((), (), (), 0, 0).mark}  # fmt: skip
        return client.post(path, params={"agency": code}, data=sent)
    content = f"Ngày,Ca,Vai trò,Người trực\n{on},{name},,chưa có người trực\n".encode()
    return client.post(path, params={"agency": code}, files={"file": ("x.csv", content)})


def _look_at(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    name = f"level {secrets.token_hex(4)}.csv"
    return client.post(
        "/loads/inspect", files={"file": (name, b"time,level\n2026-01-01,1.5\n2026-01-02,2.5\n")}
    )


def _make_dataset(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    """As a person does it: with the form that the look at a file gave."""
    looked = _look_at(town, client, method, path, what)
    if looked.status_code != 200:
        return client.post(path, data={"contract": "x"})
    sent = dict(
        re.findall(r'<input type="hidden" name="(mark|name)" value="([^"]*)">', looked.text)
    )
    (text,) = re.findall(r"<textarea[^>]*>\n([^<]*)</textarea>", looked.text)
    return client.post(path, data=sent | {"contract": html.unescape(text)})


def _return(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    """One return, looked at, typed into, or handed in and then approved."""
    version = returns.fresh(town, what, submit="{act:str}" in path)
    if "{sha256:str}" in path:
        returns.with_evidence(town, what)
    address = (
        path.replace("{form:str}/{period:str}/{party:str}", returns.address(what))
        .replace("{form:str}", returns.address(what).split("/")[0])
        .replace("{act:str}", "approve")
        .replace("{sha256:str}", hashlib.sha256(returns.PNG).hexdigest())
    )
    if method == "PUT":
        return client.put(address, json={"version": version, "values": {"count": 7}})
    if method == "POST" and "{act:str}" in path:
        return client.post(address, data={"version": str(version)})
    if method == "POST":
        fields = {"version": str(version), "count": "7", "act": "save"}
        return client.post(address, **returns.sent(fields))
    return client.request(method, address)


ASKING: dict[str, Callable[..., Any]] = {
    "GET /forms/{form:str}": _return,
    "GET /forms/{form:str}/{period:str}/{party:str}": _return,
    "POST /forms/{form:str}/{period:str}/{party:str}": _return,
    "POST /forms/{form:str}/{period:str}/{party:str}/{act:str}": _return,
    "GET /forms/{form:str}/{period:str}/{party:str}/workbook.xlsx": _return,
    "GET /forms/{form:str}/{period:str}/{party:str}/return.csv": _return,
    "GET /forms/{form:str}/{period:str}/{party:str}/evidence/{sha256:str}": _return,
    "GET /api/v1/forms/{form:str}/{period:str}/{party:str}": _return,
    "PUT /api/v1/forms/{form:str}/{period:str}/{party:str}": _return,
    "POST /loads/inspect": _look_at,
    "POST /loads/inspect/define": _make_dataset,
    "POST /loads/inspect/contract.yaml": _form({"contract": "dataset: x"}),
    "GET /agencies/{agency:str}": _agency,
    "GET /services/{service:str}/{panel:str}": _pack_panel,
    "GET /duty": _duty,
    "GET /duty/roster": _duty,
    "GET /duty/roster/file": _duty,
    "GET /duty/log": _duty,
    "GET /duty/brief": _duty,
    "GET /duty/brief/{day:str}": _duty,
    "GET /duty/brief/{day:str}/file": _duty,
    "POST /duty/roster/{what:str}": _duty,
    "POST /duty/bring": _bring,
    "POST /duty/bring/take": _bring,
    "POST /duty/log/{what:str}": _duty,
    "POST /duty/brief/{day:str}/{what:str}": _duty,
    "GET /ioc/figure": _figure,
    "GET /ioc/download": _figure,
    "POST /admin/targets": _form(TARGET),
    "POST /admin/targets/{number:int}/withdraw": _withdraw,
    "GET /ioc/explain": _explain,
    "GET /services/environment/explain": _explain,
    "GET /ioc/assign": _give,
    "POST /ioc/assign": _give,
    "POST /ioc/arrange": _form({"reset": "1"}),
    "POST /api/v1/sql": _sql,
    "POST /sql": _form({"sql": " "}),
    "POST /sql/file": _form({"sql": " ", "format": "csv"}),
    "POST /admin/agencies": _new_agency,
    "GET /admin/agencies/{agency:str}": _agency,
    "POST /admin/agencies/{agency:str}": _agency,
    "POST /admin/agencies/{agency:str}/merge": _agency,
    "POST /admin/agencies/{agency:str}/close": _agency,
    "POST /admin/accounts": _new_account,
    "GET /admin/accounts/{account_id:int}": _account,
    "POST /admin/accounts/{account_id:int}": _account,
    "POST /admin/accounts/{account_id:int}/{what:str}": _account,
    "POST /admin/accounts/{account_id:int}/links": _links,
    "POST /admin/keys": _new_key,
    "POST /admin/pulls": _new_pull,
    "POST /admin/pull-sources": _new_source,
    "GET /admin/pulls/{pull:str}": _pull,
    "GET /admin/pull-sources/{source:str}": _pull,
    "POST /admin/pulls/{pull:str}/try": _pull,
    "POST /admin/pulls/{pull:str}/{what:str}": _pull,
    "POST /admin/pull-sources/{source:str}/password": _pull,
    "GET /admin/keys/{prefix:str}": _key,
    "POST /admin/keys/{prefix:str}/revoke": _key,
    "POST /admin/datasets/{name:str}/sharing": _share,
    "POST /api/v1/datasets/{name:str}/rows": _rows,
    "POST /api/v1/datasets/{name:str}/files": _file,
    "POST /loads/into/{name:str}": _file_by_form,
    "POST /api/v1/datasets/{name:str}/things": _thing,
    "DELETE /api/v1/loads/{load_id:int}": _undo,
    "POST /loads/{load_id:int}/undo": _undo,
    "POST /api/v1/conflicts/{conflict_id:int}": _decide,
    "POST /conflicts/{conflict_id:int}/{row:int}": _decide,
    "GET /work/{code:str}": _work,
    "POST /work/{code:str}/{what:str}": _work,
    "POST /leader/work/{code:str}/urge": _urged,
    "POST /login": _form({"username": "admin", "password": PASSWORD}),
    "POST /account/password": _form({"current": "x", "new": "a long one", "again": "another"}),
    "POST /preferences": _form({"lang": "en"}),
    "POST /logout": _form({}),
    "GET /live": _live,
    "GET /static/{tree:str}/{digest:str}/{path:path}": _static,
}
