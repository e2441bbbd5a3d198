"""The administration's pages, as an administrator, a leader and everybody else meet them."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from dothi.identity import audit
from dothi.identity.accounts import create_account
from dothi.identity.agencies import add_agency
from dothi.identity.model import SYSTEM, Agency, Role
from dothi.identity.passwords import Passwords
from dothi.kernel.time import VN, local_date, utc_now
from dothi.lake import registry, unended
from dothi.lake.contract import parse_contract
from dothi.reactions import REACTIONS
from dothi.work.model import Severity
from dothi.work.service import Opening, open_item
from tests.contract.world import CONTRACT, OTHERS, OURS, PASSWORD, World

SECRET = re.compile(r'class="secret"><code>([^<]+)</code>')
GROUND = "Nghị quyết 12/NQ-HĐND ngày 30/06/2025"
NEW_PASSWORD = "Bến đò chiều ba mươi"


def today() -> str:
    return local_date(utc_now(), VN).isoformat()


def secret_of(answer: httpx.Response) -> str:
    found = SECRET.search(answer.text)
    assert found is not None, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return found[1]


def new_account(town: World, client: httpx.Client, *roles: str) -> tuple[str, str, int]:
    """Login, first password and number of an account made through the page."""
    login = f"cb{secrets.token_hex(5)}"
    fields = {"login": login, "display_name": "Cán bộ", "agency": OURS}
    fields |= {f"roles.{role}": "on" for role in roles or ("officer",)}
    answer = client.post("/admin/accounts", data=fields)
    assert answer.status_code == 201
    with town.house.db.transaction() as conn:
        row = conn.execute("SELECT id FROM account WHERE login = %s", (login,)).fetchone()
    assert row is not None
    return login, secret_of(answer), row[0]


@contextmanager
def signed_in(town: World, login: str, password: str) -> Iterator[httpx.Client]:
    with town.client(headers={"sec-fetch-site": "same-origin", "accept": "text/html"}) as client:
        answer = client.post("/login", data={"username": login, "password": password})
        assert answer.status_code == 303, answer.text
        yield client


def acts(town: World, subject: str) -> list[str]:
    """What the sealed trail says was done to something, oldest first."""
    audit.seal(town.house.db)
    with town.house.db.transaction() as conn:
        return [entry.action for entry in audit.entries(conn, subject=subject)][::-1]


def test_a_first_password_opens_nothing_but_its_change(town: World) -> None:
    with town.client("admin") as admin:
        login, password, number = new_account(town, admin)
    with signed_in(town, login, password) as client:
        for path in ("/", "/ioc", "/work", "/services/environment", "/chips", "/live?topics=work"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/account/password")
        for path in ("/api/v1/datasets", "/api/v1/indicators", "/openapi.json"):
            assert client.get(path).status_code == 403, path
        assert client.post("/api/v1/sql", json={"sql": "SELECT 1"}).status_code == 403
        page = client.get("/account/password")
        assert "serves once" in page.text
        assert "<nav" not in page.text and "dothi-live" not in page.text
        refused = client.post(
            "/account/password", data={"current": password, "new": password, "again": password}
        )
        assert refused.status_code == 422, "the same password is no change"
        changed = client.post(
            "/account/password",
            data={"current": password, "new": NEW_PASSWORD, "again": NEW_PASSWORD},
        )
        assert changed.status_code == 303
        assert client.get("/work").status_code == 200
    assert acts(town, f"account:{number}")[:3] == ["account_added", "signed_in", "password_changed"]


def test_a_password_and_a_key_are_shown_once(town: World) -> None:
    with town.client("admin") as admin:
        _, password, number = new_account(town, admin)
        fields = {"name": "Trạm đo", "agency": OURS, "lifetime": "30", "roles.data": "on"}
        key = secret_of(admin.post("/admin/keys", data=fields))
        for path in ("/admin/accounts", f"/admin/accounts/{number}", "/admin/keys"):
            page = admin.get(path).text
            assert password not in page and key not in page
        with town.house.db.transaction() as conn:
            kept = conn.execute("SELECT payload::text FROM event").fetchall()
        assert not any(password in text or key in text for (text,) in kept)
        bearer = {"authorization": f"Bearer {key}"}
        assert httpx.get(f"{town.address}/api/v1/loads/1", headers=bearer).status_code != 401
        listed = re.findall(r'href="/admin/keys/(\w+)"', admin.get("/admin/keys").text)
        shown = next(prefix for prefix in listed if prefix in key)
        assert admin.post(f"/admin/keys/{shown}/revoke").status_code == 303
        assert httpx.get(f"{town.address}/api/v1/loads/1", headers=bearer).status_code == 401
    assert acts(town, f"key:{shown}") == ["key_issued", "key_revoked"]


def test_a_lock_and_an_end_of_sessions_work_at_once(town: World) -> None:
    with town.client("admin") as admin:
        login, password, number = new_account(town, admin)
        with signed_in(town, login, password) as client:
            assert client.get("/account/password").status_code == 200
            assert admin.post(f"/admin/accounts/{number}/sessions").status_code == 303
            assert client.get("/account/password").status_code in (303, 401)
        with signed_in(town, login, password) as client:
            assert admin.post(f"/admin/accounts/{number}/lock").status_code == 303
            assert client.get("/account/password").status_code in (303, 401)
        tried = town.client(headers={"sec-fetch-site": "same-origin"})
        sent = {"username": login, "password": password}
        assert tried.post("/login", data=sent).status_code == 401
        assert admin.post(f"/admin/accounts/{number}/unlock").status_code == 303
        assert tried.post("/login", data=sent).status_code == 303
        fresh = secret_of(admin.post(f"/admin/accounts/{number}/password"))
        assert tried.post("/login", data=sent).status_code == 401
        with signed_in(town, login, fresh) as client:
            assert client.get("/account/password").status_code == 200


def test_the_last_administrator_cannot_leave(town: World) -> None:
    with town.client("admin") as admin:
        me = town.accounts["admin"]
        with town.house.db.transaction() as conn:
            others = conn.execute(
                "UPDATE account SET disabled_at = clock_timestamp() WHERE 'admin' = ANY (roles) "
                "AND disabled_at IS NULL AND id <> %s RETURNING id",
                (me,),
            ).fetchall()
        try:
            for path, fields in (
                (f"/admin/accounts/{me}/lock", {}),
                (f"/admin/accounts/{me}", {"agency": OURS, "roles.officer": "on"}),
            ):
                answer = admin.post(path, data=fields)
                assert answer.status_code == 409
                assert 'role="alert"' in answer.text
            assert admin.get("/admin/accounts").status_code == 200
        finally:
            with town.house.db.transaction() as conn:
                conn.execute(
                    "UPDATE account SET disabled_at = NULL WHERE id = ANY (%s)",
                    ([row[0] for row in others],),
                )


def test_a_foreign_page_changes_nothing(town: World) -> None:
    with town.client("admin", headers={"sec-fetch-site": "cross-site"}) as client:
        client.headers["sec-fetch-site"] = "cross-site"
        for path in ("/admin/agencies", "/admin/accounts", "/admin/keys", "/admin/audit/export"):
            assert client.post(path, data={"code": "x"}).status_code == 403, path


def test_what_is_wrong_stands_beside_its_field(town: World) -> None:
    with town.client("admin") as admin:
        answer = admin.post(
            "/admin/accounts", data={"login": "<b>", "display_name": "", "agency": "nowhere"}
        )
        assert answer.status_code == 422
        for field in ("login", "display_name", "agency", "roles"):
            assert f'id="fault-add-{field}"' in answer.text
        assert 'value="&lt;b&gt;"' in answer.text
        again = admin.post(
            "/admin/agencies", data={"code": OURS, "name_vi": "Sở", "name_en": "Department"}
        )
        assert again.status_code == 409
        for path, fields in (
            (f"/admin/agencies/{OURS}/merge", {"into": OURS, "on": "yesterday", "ground": "x"}),
            (f"/admin/agencies/{OURS}/close", {"on": today(), "ground": ""}),
            ("/admin/keys", {"name": "", "agency": OURS, "lifetime": "9" * 50}),
            ("/admin/datasets/own_gauges/sharing", {"level": "public", "valid_from": today()}),
        ):
            assert admin.post(path, data=fields).status_code == 422, path


def test_a_source_without_an_agency_comes_back_with_what_was_written(town: World) -> None:
    fields = {
        "name": f"s{secrets.token_hex(5)}", "kind": "mysql", "tls": "verify", "host": "10.1.2.3",
        "database": "motcua", "account": "doc-mot-cua", "password": "không gửi lại",
    }  # fmt: skip
    with town.client("data") as client:
        for agency in ({}, {"agency": "khong-co"}):
            page = client.post("/admin/pull-sources", data=fields | agency)
            assert page.status_code == 422
            assert 'value="doc-mot-cua"' in page.text
            assert fields["password"] not in page.text
        refused = client.post("/admin/pull-sources", data=fields | {"agency": OTHERS})
        assert refused.status_code == 403
        # The address of a refused form, asked for again.
        again = client.get("/admin/pull-sources")
        assert (again.status_code, again.headers["location"]) == (303, "/admin/pulls")
        made = client.post("/admin/pull-sources", data=fields | {"agency": OURS, "password": ""})
        assert made.status_code == 303
        row = client.get(made.headers["location"]).text
    with town.house.db.transaction() as conn:
        found = conn.execute(
            "SELECT login, display_name FROM account WHERE id = %s", (town.accounts["data"],)
        ).fetchone()
    assert found is not None
    assert found[1] in row


def test_a_merger_takes_data_shares_and_work_along(town: World) -> None:
    """What an agency owned passes to its successor in every room; its people go on as before."""
    code, name = f"cc{secrets.token_hex(4)}", f"merged_{secrets.token_hex(4)}"
    with town.house.db.transaction() as conn:
        add_agency(conn, Agency(code, "Chi cục", "Branch", "tinh"), actor=SYSTEM)
        old = town.agencies[code] = _agency_id(conn, code)
        owned = registry.register(
            conn, parse_contract(CONTRACT.format(name=name, owner=code, sharing="{}"))
        )
        shares = f"{{agencies: [{code}], ground: for tests}}"
        told = registry.register(
            conn, parse_contract(CONTRACT.format(name=f"{name}_told", owner=OTHERS, sharing=shares))
        )
        number = create_account(
            conn, login=code, display_name="Cán bộ", agency=code, roles=[Role.DATA],
            password=PASSWORD, hasher=Passwords(memory_kib=1024, passes=1), actor=SYSTEM,
        ).id  # fmt: skip
    work = _work_of(town, old)
    town.accounts[code] = number
    with town.client("admin") as admin, town.client(code) as person:
        assert admin.get(f"/api/v1/datasets/{name}").status_code == 200
        assert person.get(f"/api/v1/datasets/{name}").status_code == 200
        fields = {"into": OURS, "on": today(), "ground": GROUND}
        assert admin.post(f"/admin/agencies/{code}/merge", data=fields).status_code == 303
        for reaction in REACTIONS:
            while reaction.advance(town.house.db):
                pass
        for client in (person, town.client("data")):
            assert client.get(f"/api/v1/datasets/{name}").status_code == 200
            assert client.get(f"/api/v1/datasets/{name}_told").status_code == 200
            assert client.get(f"/work/{work}").status_code == 200
        page = admin.get(f"/admin/agencies/{code}").text
        assert f'href="/admin/agencies/{OURS}"' in page and "Merged on" in page
        assert admin.post(f"/admin/agencies/{code}/merge", data=fields).status_code == 409
    with town.house.db.transaction() as conn:
        # A pack's contract still names the agency of old: registering it again gives nothing back.
        again = registry.register(conn, owned.contract)
        assert again.owner_agency == town.agencies[OURS]
        assert registry.register(conn, told.contract).sharing["agency_ids"] == [town.agencies[OURS]]
        passed = conn.execute(
            "SELECT owner_agency FROM work_item WHERE code = %s", (work,)
        ).fetchone()
    assert passed == (town.agencies[OURS],)
    assert acts(town, f"agency:{code}") == ["agency_added", "agency_merged"]


def _agency_id(conn: Any, code: str) -> int:
    return conn.execute("SELECT id FROM agency WHERE code = %s", (code,)).fetchone()[0]


def _work_of(town: World, agency: int) -> str:
    with town.house.db.transaction() as conn:
        return open_item(
            conn, SYSTEM,
            Opening(kind="alarm", title={"vi": "Nước cao", "en": "High water"},
                    severity=Severity.WARNING, agency_id=agency),
        ).code  # fmt: skip


def test_a_sharing_decision_counts_from_its_day_to_its_last(town: World) -> None:
    address, outsider = "/api/v1/datasets/other_gauges", "officer"
    day = local_date(utc_now(), VN)
    with town.client("admin") as admin, town.client(outsider) as client:

        def decide(**fields: Any) -> None:
            sent = {"ground": GROUND, "valid_from": day.isoformat(), **fields}
            answer = admin.post("/admin/datasets/other_gauges/sharing", data=sent)
            assert answer.status_code == 303, answer.text

        assert client.get(address).status_code == 404
        decide(level="public", valid_from=(day + timedelta(days=1)).isoformat())
        assert client.get(address).status_code == 404, "it begins tomorrow"
        decide(level="agencies", **{f"agencies.{OURS}": "on", "hidden.level": "on"})
        assert client.get(address).status_code == 200
        page = admin.get("/admin/datasets/other_gauges").text
        assert GROUND in page and "admin" in page
        decide(level="none")
        assert client.get(address).status_code == 404
    assert acts(town, "dataset:other_gauges") == ["dataset.shared"] * 3


def test_the_trail_is_filtered_checked_and_downloaded(town: World) -> None:
    with town.client("admin") as admin, town.client("auditor") as auditor:
        login, _, number = new_account(town, admin)
        admin.post(f"/admin/accounts/{number}/lock")
        audit.seal(town.house.db)
        asked = {"who": "admin", "what": "account_disabled", "from": today(), "to": today()}
        page = auditor.get("/admin/audit", params=asked).text
        assert login in page
        later = {"from": (local_date(utc_now(), VN) + timedelta(days=1)).isoformat()}
        assert login not in auditor.get("/admin/audit", params=later).text
        assert login not in auditor.get("/admin/audit", params={"who": "nobody"}).text
        assert "fault-search-from" in auditor.get("/admin/audit", params={"from": "x"}).text
        whole = auditor.get("/admin/audit/check")
        assert "is whole" in whole.text
        export = auditor.post("/admin/audit/export")
        assert "attachment" in export.headers["content-disposition"]
        entries = [json.loads(line) for line in export.text.splitlines()]
        assert [e["seq"] for e in entries] == list(range(1, len(entries) + 1))
        assert all(e["prev_hash"] == before["hash"] for before, e in pairwise(entries))
    audit.seal(town.house.db)
    with town.house.db.transaction() as conn:
        assert audit.entries(conn, action="audit_exported")


def test_a_dataset_that_waits_for_what_cannot_be_ended_is_shown_with_its_remedy(
    town: World,
) -> None:
    lost = "/srv/lake/main/series_7/part.parquet"
    error = OSError(f'IO Error: Cannot open file "{lost}": No such file or directory')
    with town.house.db.transaction() as conn:
        dataset = registry.find(conn, "own_gauges")
        unended.note(conn, dataset.id, error)
    try:
        with town.client("admin") as admin, town.client("leader") as leader:
            for path in ("/admin/datasets", "/admin/datasets/own_gauges"):
                page = admin.get(path).text
                assert (
                    f"from the backup to its place: {lost}" in page and "Cannot open file" in page
                )
            assert "Cannot open file" not in admin.get("/admin/datasets/other_gauges").text
            page = leader.get("/admin/datasets")
            assert page.status_code == 404 or lost not in page.text
            assert "\ndothi_datasets_waiting 1.0\n" in admin.get("/metrics").text
    finally:
        with town.house.db.transaction() as conn:
            unended.clear(conn, [dataset.id])
    with town.client("admin") as admin:
        assert lost not in admin.get("/admin/datasets").text
        assert "\ndothi_datasets_waiting 0.0\n" in admin.get("/metrics").text


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_every_page_shows_in_both_languages_and_no_key_of_the_catalogue(
    town: World, lang: str
) -> None:
    pages = ["agencies", "accounts", "keys", "roles", "datasets", "packs", "audit", "audit/check",
             f"agencies/{OURS}", f"accounts/{town.accounts['admin']}", "datasets/own_gauges"]  # fmt: skip
    with town.client("admin", headers={"accept-language": lang, "accept": "text/html"}) as admin:
        for page in pages:
            answer = admin.get(f"/admin/{page}")
            assert answer.status_code == 200, page
            assert f'lang="{lang}"' in answer.text
            assert not re.search(r">\s*(admin|ioc|web|identity)\.[a-z_.]+\s*<", answer.text), page
