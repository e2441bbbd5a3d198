"""Signing in with a provider: a real one on loopback, honest, wrong and hostile."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from dothi.identity import accounts, audit, links
from dothi.identity.accounts import create_account
from dothi.identity.model import SYSTEM, Role
from dothi.identity.passwords import Passwords
from dothi.kernel.time import utc_now
from dothi.store.settings import Oidc
from tests.contract.world import OURS, PASSWORD, World, world
from tests.provider import CLIENT_ID, SECRET, IdProvider, Twist, provider

CALLBACK = "/login/oidc/callback"


@dataclass
class Town:
    """The application and the provider that its people may sign in with."""

    world: World
    id: IdProvider


@pytest.fixture(scope="module")
def made(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    file = tmp_path_factory.mktemp("secret") / "oidc"
    file.write_text(SECRET + "\n", encoding="utf-8")
    with provider("") as issuer:

        def more(address: str) -> dict[str, Any]:
            issuer.client.redirect_uri = address + CALLBACK
            return {
                "public_url": address,
                "oidc": Oidc(issuer.address, CLIENT_ID, "Cổng danh tính", file),
                "outgoing_private": ("127.0.0.0/8",),
            }

        with world(server, template, tmp_path_factory.mktemp("home"), more) as town:
            yield Town(town, issuer)


@pytest.fixture
def town(made: Town) -> Iterator[Town]:
    """As it is for each test: an honest provider, somebody new signed in there."""
    made.id.user, made.id.twist = secrets.token_hex(6), None
    made.id.describe = lambda said: said
    yield made
    made.id.answers.clear()


def a_person(town: Town, *, linked: bool = True, must_change: bool = False) -> int:
    """An officer's account; `linked`: who is signed in at the provider may sign in as them."""
    with town.world.house.db.transaction() as conn:
        number = create_account(
            conn, login=f"x{secrets.token_hex(6)}", display_name="Cán bộ", agency=OURS,
            roles=[Role.OFFICER], password=PASSWORD,
            hasher=Passwords(memory_kib=1024, passes=1), actor=SYSTEM, must_change=must_change,
        ).id  # fmt: skip
        if linked:
            assert town.id.user
            links.link(conn, number, town.id.address, town.id.user, actor=SYSTEM, now=utc_now())
    return number


def browser(town: Town) -> httpx.Client:
    return town.world.client(headers={"accept": "text/html", "sec-fetch-site": "none"})


def to_provider(client: httpx.Client, goal: str = "/work") -> str:
    """Begin; the address at the provider."""
    sent = client.get("/login/oidc", params={"next": goal})
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


def from_provider(url: str) -> str:
    """Sign in there; the address at ours that it leads back to."""
    answer = httpx.get(url)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def signed_in(client: httpx.Client) -> bool:
    return client.get("/account/password").status_code == 200


def last_acts(town: Town, *actions: str) -> list[tuple[str, str | None, Any]]:
    audit.seal(town.world.house.db)
    with town.world.house.db.transaction() as conn:
        found = [e for e in audit.entries(conn, limit=20) if e.action in actions]
    return [(e.action, e.subject, json.loads(e.detail)) for e in found]


def test_who_is_linked_signs_in_and_goes_on(town: Town) -> None:
    number = a_person(town)
    with browser(town) as client:
        page = client.get("/login", params={"next": "/work"}).text
        assert "Sign in with Cổng danh tính" in page
        url = to_provider(client)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"] and len(asked["nonce"]) > 30 < len(asked["state"])
        answer = client.get(from_provider(url))
        assert (answer.status_code, answer.headers["location"]) == (303, "/work")
        assert client.get("/work").status_code == 200
        assert "dothi_oidc" not in client.cookies
    ((action, subject, said),) = last_acts(town, "signed_in")[:1]
    assert (action, subject) == ("signed_in", f"account:{number}")
    assert said["issuer"] == town.id.address


def test_a_stranger_gets_no_account_and_learns_their_identifier(town: Town) -> None:
    with town.world.house.db.transaction() as conn:
        before = len(accounts.accounts(conn))
    with browser(town) as client:
        answer = client.get(from_provider(to_provider(client)))
        assert answer.status_code == 401
        assert town.id.user and town.id.user in answer.text
        assert not signed_in(client)
    with town.world.house.db.transaction() as conn:
        assert len(accounts.accounts(conn)) == before
    assert last_acts(town, "sign_in_failed")[0][2]["identity"] == town.id.user


def test_a_locked_account_stays_locked(town: Town) -> None:
    number = a_person(town)
    with town.world.house.db.transaction() as conn:
        accounts.disable_account(conn, number, actor=SYSTEM)
    with browser(town) as client:
        assert client.get(from_provider(to_provider(client))).status_code == 401
        assert not signed_in(client)


def test_a_password_told_by_somebody_is_no_matter_to_who_signs_in_elsewhere(town: Town) -> None:
    number = a_person(town, must_change=True)
    with browser(town) as client:
        client.get(from_provider(to_provider(client)))
        assert client.get("/work").status_code == 200
    with town.world.house.db.transaction() as conn:
        assert accounts.get_account(conn, number).must_change, "of the password it still holds"


def test_new_keys_of_the_provider_are_learned_and_old_ones_forgotten(town: Town) -> None:
    a_person(town)
    with browser(town) as client:
        assert client.get(from_provider(to_provider(client))).status_code == 303
    old = town.id.keys[0]
    town.id.rotate()
    with browser(town) as client:
        assert client.get(from_provider(to_provider(client))).status_code == 303
    town.id.twist = lambda header, claims, key: jwt.encode(
        header | {"kid": old.kid}, claims, old, ["RS256"]
    )
    with browser(town) as client:
        assert client.get(from_provider(to_provider(client))).status_code == 401


# -- what must not be believed -------------------------------------------------------------------


def claim(**changes: Any) -> Twist:
    def twist(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> None:
        for name, value in changes.items():
            if value is None:
                claims.pop(name, None)
            else:
                claims[name] = value

    return twist


def text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(data: object) -> str:
    return text_of(json.dumps(data).encode())


def unsigned(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
    return f"{part({'alg': 'none', 'kid': key.kid})}.{part(claims)}."


def by(secret: Callable[[RSAKey], bytes]) -> Twist:
    """Signed with a secret that others know too: ours, or the published key taken for one."""

    def twist(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
        signed = f"{part(header | {'alg': 'HS256'})}.{part(claims)}"
        mac = hmac.digest(secret(key), signed.encode(), "sha256")
        return f"{signed}.{text_of(mac)}"

    return twist


def another_key(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
    fake = RSAKey.generate_key(2048, {"kid": str(key.kid)})
    return jwt.encode(header, claims, fake, ["RS256"])


def own_key_in_header(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
    fake = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "jwk": fake.as_dict(private=False)}
    return jwt.encode(header, claims, fake, ["RS256"])


def altered(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
    head, _, sign = jwt.encode(header, claims, key, ["RS256"]).split(".")
    return f"{head}.{part(claims | {'sub': 'admin'})}.{sign}"


NOW = int(time.time())
HOSTILE: dict[str, Twist] = {
    "another nonce": claim(nonce="x" * 43),
    "no nonce": claim(nonce=None),
    "another audience": claim(aud=["somebody else"]),
    "no audience": claim(aud=None),
    "several audiences, made for another": claim(aud=[CLIENT_ID, "other"], azp="other"),
    "several audiences, made for nobody": claim(aud=[CLIENT_ID, "other"]),
    "another issuer": claim(iss="https://id.example"),
    "no issuer": claim(iss=None),
    "expired": claim(exp=NOW - 120),
    "no end": claim(exp=None),
    "made in time to come": claim(iat=NOW + 86_400),
    "not yet valid": claim(nbf=NOW + 86_400),
    "no subject": claim(sub=None),
    "a subject that is no text": claim(sub=["a"]),
    "an empty subject": claim(sub=""),
    "a subject that cannot be shown": claim(sub="a\nb"),
    "another access token": claim(at_hash="x" * 22),
    "alg none": unsigned,
    "a shared secret": by(lambda key: SECRET.encode()),
    "the public key as a secret": by(lambda key: key.as_pem(private=False)),
    "another key of the same name": another_key,
    "a key of its own": own_key_in_header,
    "altered": altered,
    "no token at all": lambda header, claims, key: "x",
}


@pytest.mark.parametrize("wrong", HOSTILE)
def test_a_token_that_is_not_ours_signs_nobody_in(town: Town, wrong: str) -> None:
    a_person(town)
    with browser(town) as client:
        town.id.twist = HOSTILE[wrong]
        answer = client.get(from_provider(to_provider(client)))
        assert answer.status_code == 401, answer.text
        assert "could not be verified" in answer.text
        assert not signed_in(client)
        town.id.twist = None
        assert client.get(from_provider(to_provider(client))).status_code == 303
        assert signed_in(client)


def test_an_answer_counts_once_and_for_the_browser_that_asked(town: Town) -> None:
    a_person(town)
    with browser(town) as client, browser(town) as victim:
        back = from_provider(to_provider(client))
        assert victim.get(back).status_code == 401, "somebody else's link signs nobody in"
        assert not signed_in(victim)
        kept = dict(client.cookies)
        assert client.get(back).status_code == 303
        client.cookies.clear()
        client.cookies.update(kept)
        again = client.get(back)
        assert again.status_code == 401
        assert "Begin again" in again.text


def test_a_state_is_made_here_and_ends_soon(town: Town) -> None:
    a_person(town)
    with browser(town) as client:
        invented = "x" * 43
        client.cookies.set("dothi_oidc", invented)
        assert client.get(CALLBACK, params={"state": invented, "code": "x"}).status_code == 401
        assert client.get(CALLBACK).status_code == 401
        client.cookies.clear()
        back = from_provider(to_provider(client))
        with town.world.house.db.transaction() as conn:
            conn.execute("UPDATE oidc_attempt SET at = at - interval '11 minutes'")
        assert client.get(back).status_code == 401


def test_a_code_is_exchanged_only_with_the_verifier_it_was_asked_for_with(town: Town) -> None:
    """Another person's code, put into one's own answer: the provider refuses it by PKCE."""
    a_person(town)
    with browser(town) as victim, browser(town) as thief:
        stolen = parse_qs(urlsplit(from_provider(to_provider(victim))).query)["code"][0]
        own = parse_qs(urlsplit(from_provider(to_provider(thief))).query)["state"][0]
        answer = thief.get(CALLBACK, params={"state": own, "code": stolen})
        assert answer.status_code == 401
        assert not signed_in(thief)


def test_an_answer_of_another_issuer_or_a_refusal_ends_the_attempt(town: Town) -> None:
    a_person(town)
    with browser(town) as client:
        back = from_provider(to_provider(client))
        assert client.get(f"{back}&iss=https%3A%2F%2Fid.example").status_code == 401
        back = from_provider(to_provider(client))
        assert client.get(f"{back}&iss={town.id.address}").status_code == 303
    town.id.user = None
    with browser(town) as client:
        answer = client.get(from_provider(to_provider(client)))
        assert answer.status_code == 401
        assert "did not confirm" in answer.text


def test_the_way_back_is_on_this_host(town: Town) -> None:
    a_person(town)
    for goal in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        with browser(town) as client:
            answer = client.get(from_provider(to_provider(client, goal)))
            assert answer.headers["location"] == "/"


# -- a provider that is away or strange ------------------------------------------------------------


@contextmanager
def unknown_provider(town: Town) -> Iterator[None]:
    """As if nothing had been heard of it yet."""
    found = _provider_of(town)
    kept = found._described, found._keys
    found._described = found._keys = None
    try:
        yield
    finally:
        found._described, found._keys = kept


def _provider_of(town: Town) -> Any:
    give: Any = town.world.app.dependencies["site"]
    return asyncio.run(give.dependency()).oidc


@pytest.mark.parametrize(
    "wrong", ["gone", "html", "redirect", "huge", "issuer", "endpoint", "list"]
)
def test_a_provider_that_cannot_be_used_stops_nobody_with_a_password(
    town: Town, wrong: str
) -> None:
    path = "/.well-known/openid-configuration"
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {
        "gone": (503, {}, b""),
        "html": (200, {"content-type": "text/html"}, b"<html>"),
        "redirect": (302, {"location": f"{town.id.address}/jwks"}, b""),
        "huge": (200, {}, b'{"issuer": "' + b"x" * (2 << 20) + b'"}'),
        "list": (200, {}, b"[]"),
    }
    if wrong in answers:
        town.id.answers[path] = answers[wrong]
    elif wrong == "issuer":
        town.id.describe = lambda said: said | {"issuer": "https://id.example"}
    else:
        town.id.describe = lambda said: said | {"authorization_endpoint": "https://10.0.0.1/a"}
    with unknown_provider(town), browser(town) as client:
        answer = client.get("/login/oidc")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert 'name="password"' in answer.text


# -- linking, leaving ------------------------------------------------------------------------------


def test_somebody_links_their_own_account_and_leaves_by_both_doors(town: Town) -> None:
    number = a_person(town, linked=False)
    with town.world.house.db.transaction() as conn:
        login = accounts.get_account(conn, number).login
    with browser(town) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        client.post("/login", data={"username": login, "password": PASSWORD})
        assert "No identity at" in client.get("/account/password").text
        page = client.post("/account/link")
        assert page.status_code == 200
        url = page.text.split('class="button primary" href="')[1].split('"')[0]
        answer = client.get(from_provider(url.replace("&amp;", "&")))
        assert answer.headers["location"] == "/account/password?done=linked"
        assert town.id.user and town.id.user in client.get("/account/password").text
        client.headers["sec-fetch-site"] = "cross-site"
        assert client.post("/account/link").status_code == 403
        client.headers["sec-fetch-site"] = "same-origin"
        assert client.post("/logout").headers["location"] == "/login"
        client.get(from_provider(to_provider(client)))
        assert signed_in(client)
        left = client.post("/logout").headers["location"]
        assert f"{town.id.address}/end?client_id=dothi" in client.get(left).text
        assert not signed_in(client)
    assert last_acts(town, "account_linked")[0][1] == f"account:{number}"


def test_a_link_begun_by_one_person_is_not_finished_as_another(town: Town) -> None:
    first, second = a_person(town, linked=False), a_person(town, linked=False)
    with town.world.house.db.transaction() as conn:
        logins = [accounts.get_account(conn, n).login for n in (first, second)]
    with browser(town) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        client.post("/login", data={"username": logins[0], "password": PASSWORD})
        page = client.post("/account/link").text
        url = page.split('class="button primary" href="')[1].split('"')[0].replace("&amp;", "&")
        client.post("/login", data={"username": logins[1], "password": PASSWORD})
        assert client.get(from_provider(url)).status_code == 401
    with town.world.house.db.transaction() as conn:
        assert not links.links(conn, first) and not links.links(conn, second)


def test_an_administrator_links_and_unlinks(town: Town) -> None:
    number, subject = a_person(town, linked=False), town.id.user
    with town.world.client("admin") as admin, browser(town) as client:
        address = f"/admin/accounts/{number}/links"
        assert admin.post(address, data={"subject": ""}).status_code == 422
        assert admin.post(address, data={"subject": subject}).status_code == 303
        assert subject and subject in admin.get(f"/admin/accounts/{number}").text
        twice = admin.post(f"/admin/accounts/{a_person(town, linked=False)}/links",
                           data={"subject": subject})  # fmt: skip
        assert twice.status_code == 409
        client.get(from_provider(to_provider(client)))
        assert signed_in(client)
        gone = {"remove": "1", "issuer": town.id.address, "subject": subject}
        assert admin.post(address, data=gone).status_code == 303
        assert not signed_in(client), "what the provider began ends with the link"
        assert client.get(from_provider(to_provider(client))).status_code == 401
