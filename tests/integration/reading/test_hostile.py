"""Every hostile file is refused with its reason, in ten seconds and 512 MB, and nothing is left:
whether somebody looks at it first or loads it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dothi import jail
from dothi.kernel.i18n import LANGS, t
from dothi.lake.contract import parse_contract
from dothi.lake.inspecting import prepared
from dothi.lake.loading import job, limits
from tests.integration.reading.hostile import HOSTILE, Hostile

MOST_BYTES = 512 * 1024 * 1024
MOST_S = 10.0
CONTRACT = parse_contract("""
dataset: anything
kind: records
title: {vi: Bất cứ gì, en: Anything}
owner: demo
key: [name]
columns:
  name: {type: text, title: {vi: Tên, en: Name}}
readers:
  - {name: of_letters, columns: {name: {column: a}}}
  - {name: of_places, columns: {name: {column: place}}}
  - {name: of_features, columns: {name: {column: n}}}
  - {name: below_a_title, file: {header_row: 1}, columns: {name: {column: a}}}
""")


def refused(answer: jail.Result, reasons: set[str]) -> None:
    fault: dict[str, Any] | None = answer.value.get("fault")
    assert fault is not None, answer.value
    assert fault["key"] in reasons, fault
    assert answer.max_rss_bytes <= MOST_BYTES
    # Its own work: what it waits for on a busy machine is none of the file's doing.
    assert answer.cpu_s <= MOST_S
    for lang in LANGS:
        assert t(fault["key"], lang, **{k: v for k, v in fault.items() if k != "key"})


@pytest.mark.parametrize("hostile", HOSTILE, ids=[h.name for h in HOSTILE])
def test_a_hostile_file_is_refused_with_its_reason(hostile: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    hostile.write(path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    # As strictly as a contract reads: no name may stand twice.
    looking = prepared(path, {"twice": "refuse"}, hostile.name)
    with jail.run(*looking, scratch=scratch) as result:
        refused(result, {hostile.reason})
    # A loaded text that is none of a table's is refused there because no reader fits it.
    with jail.run(job(CONTRACT, path), limits(path), scratch=scratch) as result:
        refused(result, {hostile.reason, "lake.no_reader"})
    assert list(scratch.iterdir()) == []
