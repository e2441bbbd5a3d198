"""docs/api.md, run as it stands: every example against the assembled application."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.contract.world import World

PAGE = Path(__file__).resolve().parents[3] / "docs" / "api.md"


def test_every_example_of_the_page_does_what_the_page_says(town: World, tmp_path: Path) -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    environment = {
        "PATH": "/usr/bin:/bin", "ADDRESS": town.address, "KEY": town.bearers["key"],
        "no_proxy": "*",
    }  # fmt: skip
    said = ""
    ran = checked = 0
    for kind, text in blocks:
        if kind == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            said, ran = done.stdout.replace("\r\n", "\n"), ran + 1
        else:
            assert kind == "output"
            assert said == text
            checked += 1
    assert ran >= 9 and checked >= 7
    values = json.loads((tmp_path / "values.json").read_text())
    assert values["indicator"] == "vn_aqi_hourly"
    names = {one["name"] for one in json.loads((tmp_path / "indicators.json").read_text())}
    assert json.loads((tmp_path / "indicator.json").read_text())["name"] in names
    assert (tmp_path / "rows.arrows").read_bytes()[:4] == b"\xff\xff\xff\xff"
