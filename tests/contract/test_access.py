"""Every address of the application × everybody × whose thing it is → what they get.

`access.yaml` says what; an address that is not in it, or one in it that is no more, fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from litestar import Litestar

from dothi.identity.policy import MATRIX
from tests.contract.world import PASSWORD, SHARINGS, World

EXPECTED: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("access.yaml").read_text("utf-8")
)
ACTORS: list[str] = EXPECTED["actors"]
ROUTES: dict[str, dict[str, str]] = EXPECTED["routes"]
NOWHERE = 2_000_000_000


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
    "{stream_id:int}": "GET /api/v1/streams/{stream_id:int}/chart",
    "{load_id:int}": "GET /api/v1/loads/{load_id:int}",
    "{conflict_id:int}": "GET /api/v1/loads/{load_id:int}",
    "{code:str}": "GET /work/{code:str}",
}
"""The address that shows a thing, or what it is part of, to who may know of it."""
NO_THINGS = {"{panel:str}", "{row:int}", "{what:str}", "{tree:str}", "{digest:str}", "{path:path}"}


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
        .replace("{load_id:int}", str(town.loads.get(what, NOWHERE)))
        .replace("{panel:str}", "nothing" if what == "missing" else what)
    )
    if "{stream_id" in path:
        number = NOWHERE if what == "missing" else town.stream(what)
        address = address.replace("{stream_id:int}", str(number))
    headers = {"hx-request": "true"} if "{panel" in path else {}
    return client.request(method, address, headers=headers)


def _rows(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    row = {"station": "G1", "time": "2026-01-02T03:00:00Z", "level": 2.5}
    return client.post(f"/api/v1/datasets/{_name(town, what)}/rows", json={"rows": [row]})


def _file(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.post(f"/api/v1/datasets/{_name(town, what)}/files", files=town.fresh_file())


def _thing(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.post(f"/api/v1/datasets/{_name(town, what)}/things", json={"key": ["G1"]})


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


def _form(fields: dict[str, str]) -> Callable[..., Any]:
    def ask(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
        return client.post(path, data=fields)

    return ask


def _live(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    with client.stream("GET", path, params={"topics": "work,series:other_gauges"}) as answer:
        return httpx.Response(answer.status_code, headers=answer.headers, request=answer.request)


def _static(town: World, client: httpx.Client, method: str, path: str, what: str) -> Any:
    return client.get("/static/app/any/css/base.css")


ASKING: dict[str, Callable[..., Any]] = {
    "POST /api/v1/datasets/{name:str}/rows": _rows,
    "POST /api/v1/datasets/{name:str}/files": _file,
    "POST /api/v1/datasets/{name:str}/things": _thing,
    "DELETE /api/v1/loads/{load_id:int}": _undo,
    "POST /loads/{load_id:int}/undo": _undo,
    "POST /api/v1/conflicts/{conflict_id:int}": _decide,
    "POST /conflicts/{conflict_id:int}/{row:int}": _decide,
    "GET /work/{code:str}": _work,
    "POST /work/{code:str}/{what:str}": _work,
    "POST /login": _form({"username": "admin", "password": PASSWORD}),
    "POST /account/password": _form({"current": "x", "new": "a long one", "again": "another"}),
    "POST /preferences": _form({"lang": "en"}),
    "POST /logout": _form({}),
    "GET /live": _live,
    "GET /static/{tree:str}/{digest:str}/{path:path}": _static,
}
