"""Static files: addresses by content, caching, compression."""

import gzip
from pathlib import Path

import pytest

from dothi.web.assets import FOREVER, Assets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "css/base.css": "body { margin: 0 }" * 50,
        "js/app.js": "import './words.js'",
        "vendor/htmx/htmx.min.js": "htmx" * 100,
        "vendor/fonts/a.woff2": "font",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def parts(url: str) -> tuple[str, str, str]:
    _, _, tree, digest, path = url.split("/", 4)
    return tree, digest, path


def test_an_address_changes_exactly_when_its_tree_does(root: Path) -> None:
    before = Assets(root)
    (root / "css/base.css").write_text("body { margin: 1px }", encoding="utf-8")
    after = Assets(root)
    assert before.url("js/app.js") != after.url("js/app.js")
    assert before.url("vendor/htmx/htmx.min.js") == after.url("vendor/htmx/htmx.min.js")
    assert before.build != after.build


def test_a_file_at_its_address_may_be_kept_for_a_year(root: Path) -> None:
    assets = Assets(root)
    found = assets.find(*parts(assets.url("css/base.css")))
    assert found is not None
    assert found.headers["cache-control"] == FOREVER
    assert found.headers["content-type"] == "text/css; charset=utf-8"


def test_an_address_of_an_earlier_build_answers_but_is_not_kept(root: Path) -> None:
    found = Assets(root).find("app", "0123456789ab", "js/app.js")
    assert found is not None
    assert found.headers["cache-control"] == "no-cache"


def test_text_is_sent_packed_to_who_takes_it(root: Path) -> None:
    assets = Assets(root)
    tree, digest, path = parts(assets.url("vendor/htmx/htmx.min.js"))
    packed = assets.find(tree, digest, path, "br, gzip")
    plain = assets.find(tree, digest, path)
    assert packed is not None
    assert plain is not None
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    font = assets.find(*parts(assets.url("vendor/fonts/a.woff2")), "gzip")
    assert font is not None
    assert "content-encoding" not in font.headers


@pytest.mark.parametrize("path", ["../secret", "css/../../secret", "/etc/passwd", "css", ""])
def test_nothing_outside_the_manifest_is_served(root: Path, path: str) -> None:
    (root.parent / "secret").write_text("x", encoding="utf-8")
    assert Assets(root).find("app", "x", path) is None
    assert Assets(root).find("other", "x", path) is None


def test_an_unknown_file_is_refused_when_a_page_is_written(root: Path) -> None:
    with pytest.raises(KeyError, match=r"missing\.css"):
        Assets(root).url("css/missing.css")


def test_missing_browser_libraries_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make setup"):
        Assets(tmp_path)
