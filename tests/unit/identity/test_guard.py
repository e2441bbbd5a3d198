"""Cookies, and requests that foreign pages cause."""

import pytest

from dothi.identity.guard import Sent, check_same_site, clear_cookie, set_cookie
from dothi.identity.sessions import Lifetime, csrf_token
from dothi.kernel.errors import Forbidden

TOKEN = "A" * 43


def post(**says: str) -> Sent:
    return Sent("POST", https=False, host="10.0.0.5:8080", **says)


@pytest.mark.parametrize(
    "sent",
    [
        post(sec_fetch_site="same-origin"),
        post(sec_fetch_site="none"),
        post(origin="http://10.0.0.5:8080"),
        post(origin="HTTP://10.0.0.5:8080"),
        post(form_token=csrf_token(TOKEN)),
        Sent("GET", https=False, host="x", sec_fetch_site="cross-site"),
        Sent("DELETE", https=True, host="city.example", origin="https://city.example"),
    ],
)
def test_our_own_pages_may_change_things(sent: Sent) -> None:
    check_same_site(sent, TOKEN)


@pytest.mark.parametrize(
    "sent",
    [
        post(sec_fetch_site="cross-site"),
        post(sec_fetch_site="same-site"),
        post(sec_fetch_site="cross-site", form_token=csrf_token(TOKEN)),
        post(origin="http://10.0.0.5"),
        post(origin="http://evil.example"),
        post(origin="https://10.0.0.5:8080"),
        post(origin="null"),
        post(origin="http://["),
        post(),
        post(form_token=""),
        post(form_token=csrf_token("B" * 43)),
        post(form_token="ü"),
        Sent("DELETE", https=True, host="", origin="https://"),
    ],
)
def test_foreign_pages_may_not(sent: Sent) -> None:
    with pytest.raises(Forbidden):
        check_same_site(sent, TOKEN)


def test_a_key_cannot_be_borrowed_by_a_foreign_page() -> None:
    check_same_site(post(sec_fetch_site="cross-site"), None, by_key=True)


def test_signing_in_is_guarded_too_where_the_browser_says_where_it_is() -> None:
    check_same_site(post(), None)
    with pytest.raises(Forbidden):
        check_same_site(post(sec_fetch_site="cross-site"), None)


def test_a_forms_token_tells_nothing_about_the_session() -> None:
    assert TOKEN not in csrf_token(TOKEN)
    assert csrf_token(TOKEN) != csrf_token("B" * 43)


def test_cookies_are_out_of_reach_of_scripts_and_other_sites() -> None:
    secure = set_cookie(TOKEN, Lifetime(), https=True)
    assert secure.startswith(f"__Host-dothi={TOKEN}; Max-Age=604800; Path=/; ")
    assert {"HttpOnly", "SameSite=Lax", "Secure"} <= set(secure.split("; "))
    assert "Domain" not in secure
    plain = set_cookie(TOKEN, Lifetime(), https=False)
    assert plain.startswith("dothi_session=")
    assert {"HttpOnly", "SameSite=Lax"} <= set(plain.split("; "))
    assert "Secure" not in plain
    assert clear_cookie(https=True).startswith("__Host-dothi=; Max-Age=0; Path=/")
