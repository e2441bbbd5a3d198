"""docs/packs.md is true: its service, written out, is sound, and it names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from dothi.indicators import cases
from dothi.indicators.checking import KNOWN, check, untested
from dothi.indicators.functions import FUNCTIONS
from dothi.indicators.sql import DATASET_COLUMNS

PAGE = (Path(__file__).parents[3] / "docs" / "packs.md").read_text("utf-8")
FILES = re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def written(folder: Path) -> Path:
    """The service of the page as files."""
    for name, text in FILES:
        path = folder / "street-lighting" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder / "street-lighting"


def test_the_service_of_the_page_is_sound_and_its_case_holds(tmp_path: Path) -> None:
    assert len(FILES) == 6
    checked = check([written(tmp_path)])
    assert untested(checked) == []
    for case in checked.cases:
        assert [d.text("en") for d in cases.differences(case, checked.subjects)] == []


def test_the_page_names_every_function_column_and_file() -> None:
    for name in (*FUNCTIONS, *DATASET_COLUMNS, *(name.rstrip("s") for name in KNOWN)):
        assert f"`{name}" in PAGE, name
