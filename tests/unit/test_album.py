"""The album finds every page: addresses, examples of them, and what the browser said."""

from __future__ import annotations

import pytest

from tests.browser.album import Shot, is_fault, links, page_routes, route_of

HERE = "http://127.0.0.1:8000"


def test_pages_are_told_from_parts_files_and_data() -> None:
    routes = page_routes()
    pages = {"/ioc", "/wall", "/admin/audit", "/forms/{form:str}/{period:str}/{party:str}"}
    others = {"/ioc/{panel:str}", "/api/v1/datasets", "/ioc/download", "/units/map.geojson"}
    assert pages <= set(routes)
    assert not others & set(routes)
    assert routes["/ioc"] == "200"
    assert routes["/data/{name:str}"] == "200"
    assert routes["/admin/audit"] == "401"


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/loads/12", "/loads/{load_id:int}"),
        ("/loads/inspect", "/loads/inspect"),
        ("/loads/12/use?x=1", "/loads/{load_id:int}/use"),
        ("/services/environment", "/services/environment"),
        ("/services/lamps", "/services/{service:str}"),
        ("/no/such", None),
    ],
)
def test_a_path_belongs_to_the_address_with_the_fewest_places(path: str, route: str | None) -> None:
    assert route_of(path, page_routes()) == route


def test_links_of_a_page_are_followed_on_this_host_only() -> None:
    page = (
        '<a href="/work?state=new">x</a><a href="12/use">y</a><a href="https://else.example/">z</a>'
        '<a href="/file.csv" download>f</a><form action="/search"></form>'
        '<form method="post" action="/logout"></form>'
    )
    assert links(page, "/loads/") == ["/work?state=new", "/loads/12/use", "/search"]


@pytest.mark.parametrize(
    ("line", "status", "fault"),
    [
        ("error Failed to load", 200, True),
        ("error Failed to load", 404, False),
        ("verbose something", 200, False),
        (f"request {HERE}/static/x.css", 200, False),
        ("request data:image/png;base64,x", 200, False),
        ("request https://else.example/x.js", 200, True),
    ],
)
def test_errors_and_other_hosts_are_faults(line: str, status: int, fault: bool) -> None:
    assert is_fault(line, HERE, Shot("x", "/x", status)) is fault
