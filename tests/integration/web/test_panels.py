"""Panels that are kept ready: the same for all screens of a person, anew after a ring, nobody else's."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from tests.contract.world import World

ALONE = {"hx-request": "true"}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def panel(client: httpx.Client, path: str, **headers: str) -> httpx.Response:
    return client.get(path, headers=ALONE | headers)


def test_a_panel_is_answered_by_its_tag_until_it_rings(town: World) -> None:
    with town.client("admin") as client:
        first, again = panel(client, "/ioc/work"), panel(client, "/ioc/work")
        assert first.status_code == again.status_code == 200
        assert again.text == first.text and again.headers["etag"] == first.headers["etag"]
        assert first.headers.keys() == again.headers.keys()
        assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
        tag = first.headers["etag"]
        known = panel(client, "/ioc/work", **{"if-none-match": tag})
        assert (known.status_code, known.content) == (304, b"")
        plain = panel(client, "/ioc/work", **{"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.text == first.text

        code = town.new_work("own")
        until(lambda: code in panel(client, "/ioc/work", **{"if-none-match": tag}).text)


def test_what_is_kept_for_one_is_not_shown_to_another(town: World) -> None:
    with town.client("admin") as admin, town.client() as stranger:
        for path in ("/ioc/work", "/ioc/agencies", "/wall/work", "/services/environment/work"):
            for _ in range(2):
                assert panel(admin, path).status_code == 200
                assert panel(stranger, path).status_code == 404
                assert admin.get(path).status_code == 303
        admin.post("/logout")
        assert panel(admin, "/ioc/work").status_code == 404


def test_a_panel_speaks_the_language_of_who_asks(town: World) -> None:
    with town.client("admin") as client:
        for _ in range(2):
            texts = {lang: panel(client, "/ioc/data", cookie=f"{cookies(client)}; lang={lang}").text
                     for lang in ("vi", "en")}  # fmt: skip
            assert texts["vi"] != texts["en"]


def cookies(client: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def test_tiles_arranged_anew_are_shown_so(town: World) -> None:
    with town.client("admin") as admin, town.client() as stranger:
        for client in (admin, stranger):
            before = panel(client, "/ioc/tiles").text
            assert 'id="tile-silent"' in before or 'id="tile-work_open"' in before
            keys = ["silent", "work_open", "work_overdue", "work_punctual", "valid", "rows"]
            form = {f"place.{key}": str(n) for n, key in enumerate(keys)}
            assert client.post("/ioc/arrange", data=form).status_code == 303
            until(lambda c=client: 'id="tile-silent"' not in panel(c, "/ioc/tiles").text)
            assert 'id="tile-work_open"' not in panel(client, "/ioc/tiles").text
            client.post("/ioc/arrange", data={"reset": "1"})
            until(lambda c=client, b=before: tile_keys(panel(c, "/ioc/tiles").text) == tile_keys(b))


def tile_keys(text: str) -> list[str]:
    return [part.split('"')[0] for part in text.split('id="tile-')[1:]]
