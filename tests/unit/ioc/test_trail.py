"""The audit trail on screens: every act has words, and what changed is told in them."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import dothi
from dothi.ioc.admin.trail import _detail, act_text  # pyright: ignore[reportPrivateUsage]
from dothi.kernel.i18n import catalogue


def acts() -> set[str]:
    """The acts that the code records, where their name stands there."""
    found = set()
    for path in Path(dothi.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.record":
                act = node.args[1]
                if isinstance(act, ast.Constant):
                    found.add(act.value)
    return found


def test_every_act_has_words() -> None:
    assert len(acts()) > 30
    assert {act for act in acts() if f"admin.act.{act}" not in catalogue()} == set()
    assert act_text("no_such_act", "vi") == "no_such_act"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"address": "10.0.0.7"}, "địa chỉ mạng: 10.0.0.7"),
        ({"kind": "task", "from": "new", "to": "accepted"},
         "loại: Nhiệm vụ; từ: Chưa tiếp nhận; sang: Đã tiếp nhận"),
        ({"authors": ["system", "account:7"], "revision": 1},
         "người nhập: Hệ thống, canbo; lần lập: 1"),
        ({"expires_at": "2026-12-21T23:14:08.4+00:00", "valid": ["2026-01-01", None]},
         "hết hạn: 22/12/2026 06:14; hiệu lực: 01/01/2026"),
        ({"low": 60.5, "new": True, "high": None}, "ít nhất: 60,5; mới: Có"),
        ({"before": {"roles": ["officer"]}, "unheard_of": "x"},
         "trước: (vai trò: Cán bộ); unheard_of: x"),
        ({"reason": "a" * 1000}, "lý do: " + "a" * 593 + "…"),
    ],
)  # fmt: skip
def test_what_changed_is_told_in_words(said: dict[str, object], told: str) -> None:
    assert _detail(json.dumps(said), {"account:7": "canbo"}, "vi") == told
