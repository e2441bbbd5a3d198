"""Templates and what they stand on: texts, sparklines, and the rules a strict CSP sets."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel import i18n
from dothi.web.render import SCRIPT_WORDS, spark

PACKAGE = Path(__file__).parents[3] / "dothi"
TEMPLATES = sorted(PACKAGE.glob("*/templates/**/*.html"))
SCRIPTS = sorted((PACKAGE / "web" / "static" / "js").glob("*.js"))
LOCK = PACKAGE.parent / "frontend" / "package-lock.json"


def test_every_text_a_template_names_is_in_the_catalogue() -> None:
    assert TEMPLATES
    for path in TEMPLATES:
        source = path.read_text(encoding="utf-8")
        for key in re.findall(r"""\bt\(\s*["']([\w.]+)["']\s*[,)]""", source):
            assert key in i18n.catalogue(), f"{path.name}: {key}"


def test_scripts_say_exactly_what_the_catalogue_holds_for_them() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    held = {
        key.removeprefix(SCRIPT_WORDS) for key in i18n.catalogue() if key.startswith(SCRIPT_WORDS)
    }
    named = set(re.findall(r"""['"`](\w+)['"`]""", source))
    built = {key for key in held if key.startswith("span_")}
    said = set(re.findall(r"""\bsay\(\s*'(\w+)'""", source))
    assert said <= held
    # `connecting` stands in the shell's own markup until the script takes over.
    assert held - named - built - {"connecting"} == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_nothing_a_strict_csp_refuses(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|<style|\son\w+=[\"']|javascript:|hx-on|hx-vals=.js:", source)
    for attributes in re.findall(r"<script([^>]*)>", source):
        assert "src=" in attributes or 'type="application/json"' in attributes
    assert "| safe" not in re.sub(r'"</(?:a|span)>" \| safe', "", source)


def test_no_template_or_script_names_another_host() -> None:
    sheets = sorted((PACKAGE / "web" / "static" / "css").glob("*.css"))
    for path in [*TEMPLATES, *SCRIPTS, *sheets]:
        assert not re.search(r"https?://|[\"'(]//", path.read_text(encoding="utf-8")), path.name


def test_the_lock_names_no_registry() -> None:
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or "integrity" in package, name


def test_a_sparkline_has_gaps_where_values_are_missing() -> None:
    path = spark([1.0, 2.0, None, 3.0, 4.0])
    assert path["line"].count("M") == 2
    assert path["dot"]
    assert spark([1.0, 2.0, None])["dot"] == ""
    assert spark([None, 5.0]) == {"line": "", "area": "", "dot": ""}


values = st.lists(
    st.one_of(st.none(), st.floats(-1e9, 1e9, allow_nan=False)), min_size=0, max_size=80
)


@given(values)
def test_a_sparkline_stays_in_its_box_and_runs_to_the_right(series: list[float | None]) -> None:
    points = [
        (float(x), float(y))
        for x, y in re.findall(r"[ML](-?[\d.e+-]+) (-?[\d.e+-]+)", spark(series)["line"])
    ]
    assert all(0 <= x <= 100 and 0 <= y <= 30 for x, y in points)
    assert all(left[0] < right[0] for left, right in pairwise(points))
