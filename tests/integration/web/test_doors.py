"""What machines rely on: replays, exact storing, safe downloads, the described interface."""

from __future__ import annotations

import csv
import io
import json
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.world import World

ROWS = "/api/v1/datasets/own_gauges/rows"
NASTY = ['=HYPERLINK("http://evil")', "+1+1", "-2+3", "@SUM(1)", "\t=1", "<script>x</script>"]


def row(minute: int, **more: Any) -> dict[str, Any]:
    return {"station": "G1", "time": f"2025-03-01T00:{minute:02}:00Z", "level": 2.5} | more


def test_a_request_sent_again_stores_nothing_again_and_its_key_serves_no_other(
    town: World,
) -> None:
    with town.client("key", headers={"idempotency-key": secrets.token_hex(8)}) as client:
        first = client.post(ROWS, json={"rows": [row(1)]})
        again = client.post(ROWS, json={"rows": [row(1)]})
        other = client.post(ROWS, json={"rows": [row(2)]})
    assert (first.status_code, first.json()["new"]) == (201, 1)
    assert (again.status_code, again.json()["replay"]) == (200, True)
    assert again.json()["load"] == first.json()["load"]
    assert other.status_code == 422
    assert other.json()["type"] == "urn:dothi:problem:idempotency_mismatch"


def test_no_cell_of_a_download_is_a_formula(town: World) -> None:
    bad = [row(3 + i, level=text) for i, text in enumerate(NASTY)]
    with town.client("data") as client:
        stored = client.post(ROWS, json={"rows": bad}).json()
        assert stored["rejected"] == len(NASTY)
        answer = client.get(f"/api/v1/loads/{stored['load']}/quarantine.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == len(NASTY) + 1
    for cell in (cell for line in rows for cell in line):
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert rows[-1][2] == "<script>x</script>"


def test_the_interface_describes_every_address_of_the_api(town: World) -> None:
    with town.client() as client:
        described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    there = {
        (route.path_format, method.lower())
        for route in town.app.routes
        for handler in getattr(route, "route_handlers", [])
        for method in handler.http_methods
        if method != "OPTIONS" and route.path.startswith("/api/")
    }
    listed = {
        (path, method) for path, operations in described["paths"].items() for method in operations
    }
    assert there <= listed
    assert "lone" not in json.dumps(_dangling(described))


def test_the_interface_describes_errors_as_they_are_answered(town: World) -> None:
    with town.client() as client:
        described = client.get("/openapi.json").json()
        missing = client.get("/api/v1/datasets/no_such")
        unread = client.post("/api/v1/datasets/public_gauges/rows", content=b"{")
    problem = {"$ref": "#/components/schemas/Problem"}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            errors = {c: a for c, a in operation["responses"].items() if not c.startswith("2")}
            assert "default" in errors, f"{method} {path}"
            for code, answer in errors.items():
                assert answer["content"] == {"application/problem+json": {"schema": problem}}, (
                    f"{method} {path}: {code}"
                )
            if method in ("post", "put", "patch"):
                (body,) = operation["requestBody"]["content"].values()
                assert body["schema"].get("$ref") or body["schema"]["properties"], path
    schema = described["components"]["schemas"]["Problem"]
    for answer in (missing, unread):
        body = answer.json()
        assert set(schema["required"]) <= set(body) <= set(schema["properties"])
    assert (
        str(missing.status_code)
        in described["paths"]["/api/v1/datasets/{name}"]["get"]["responses"]
    )


def test_the_bodies_that_the_interface_shows_are_accepted(town: World) -> None:
    with town.client("admin") as client:
        described = client.get("/openapi.json").json()
        shown = {
            path: body["example"]
            for path, operations in described["paths"].items()
            for operation in operations.values()
            for body in operation.get("requestBody", {}).get("content", {}).values()
            if "example" in body
        }
        # What a return takes is its form's: test_forms_pages.py sends one.
        del shown["/api/v1/forms/{form}/{period}/{party}"]
        assert set(shown) == {
            "/api/v1/datasets/{name}/rows", "/api/v1/datasets/{name}/things",
            "/api/v1/conflicts/{conflict_id}", "/api/v1/sql",
        }  # fmt: skip
        for path, body in shown.items():
            address = path.format(name="own_gauges", conflict_id=town.new_conflict("own"))
            answer = client.post(address, json=body)
            assert answer.status_code == (200 if path.endswith("/sql") else 201), answer.text
            assert not answer.json().get("rejects"), answer.text


def test_no_handler_stands_outside_a_router(town: World) -> None:
    """Registered with the application one by one, two handlers in threads at one address break."""
    for route in town.app.routes:
        for handler in getattr(route, "route_handlers", []):
            assert handler.owner is not town.app, f"{route.path}: {handler}"


def _dangling(document: dict[str, Any]) -> list[str]:
    """References inside the document that lead nowhere, marked."""
    lost = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                at: Any = document
                for step in reference.removeprefix("#/").split("/"):
                    at = at.get(step) if isinstance(at, dict) else None
                if at is None:
                    lost.append(f"lone {reference}")
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    return lost


@pytest.mark.parametrize(
    "address",
    [
        "/ioc/download?what=tiles", "/api/v1/datasets/own_gauges/rows?format=csv",
        "/api/v1/streams/{stream}/rows.csv", "/api/v1/loads/{load}/quarantine.csv",
    ],
)  # fmt: skip
def test_a_csv_says_its_encoding_once(town: World, address: str) -> None:
    where = address.format(stream=town.stream("own"), load=town.loads["own"])
    with town.client("admin") as client:
        answer = client.get(where)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"


def test_machines_learn_that_it_lives_and_how_much_it_does(town: World) -> None:
    with town.client() as client:
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").text == "ready\n"
        client.get("/no/such")
        lines = client.get("/metrics").text.splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(figures['dothi_http_requests_total{status="2xx"}']) >= 2
    assert float(figures["process_resident_memory_peak_bytes"]) > 1e6


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(["station", "time", "level", "quality"]) | st.text(max_size=6)
TIMES = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2025, 1, 1), timezones=st.just(UTC)
).map(lambda at: at.isoformat())
GOOD = st.fixed_dictionaries({"station": st.just("G1"), "time": TIMES, "level": st.floats(0, 10)})
ANYTHING = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=2)
                        | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8)  # fmt: skip
BODIES = st.fixed_dictionaries(
    {"rows": st.lists(GOOD | st.dictionaries(NAMES, SIMPLE | TIMES, max_size=5), max_size=4)}
)


@given(body=BODIES | ANYTHING)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_sent_as_rows_the_answer_is_never_our_fault(town: World, body: Any) -> None:
    """Refused as a whole, or stored with each value either counted or listed with its reason."""
    with town.client("key") as client:
        answer = client.post(ROWS, content=json.dumps(body).encode("utf-8", "surrogatepass"))
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"].startswith("application/problem+json")
        return
    told = answer.json()
    assert told["rejected"] == len(told["rejects"])
    for reject in told["rejects"]:
        assert 1 <= reject["row"] <= len(body["rows"])
        assert reject["reason"]
    numbers = {
        (r["station"], r["time"]) for r in body["rows"] if set(r) == {"station", "time", "level"}
    }
    assert told["new"] + told["changed"] + told["same"] + len(told["rejects"]) >= (
        1 if numbers else 0
    )


@pytest.mark.parametrize("secret", ["x", "dothi_aaaaaaaa_" + "0" * 64, "Basic x", "dothi_"])
def test_a_wrong_key_is_nobody_and_is_told_so(town: World, secret: str) -> None:
    with town.client(headers={"authorization": f"Bearer {secret}"}) as client:
        assert client.get("/api/v1/datasets").status_code == 401
        assert client.post(ROWS, json={"rows": [row(1)]}).status_code == 401
