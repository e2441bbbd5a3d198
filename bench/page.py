"""CPU of the web process for one page of the environment service, from its cache.

`python -m bench.page [--requests 200]`. Floor: the same server's /healthz, which does nothing.
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.measure import cost, line, medians, percentile, show
from bench.product import PAGE, Product, product

TARGET_MS = 5.0
WARM = 10


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="CPU for one page from the cache")
    options.add_argument("--requests", type=int, default=200)
    show(measured(options.parse_args().requests))


def measured(requests: int = 200) -> dict[str, Any]:
    """The figures for strangers and for a person signed in; the worse one counts."""
    with product("--demo") as running:
        signed = {"cookie": running.cookie()}
        cases = {
            "stranger": _pages(running, {}, requests),
            "signed_in": _pages(running, signed, requests),
            "signed_in_gzip": _pages(running, signed | {"accept-encoding": "gzip"}, requests),
        }
        floor = _pages(running, {}, requests, "/healthz")
    worst = max(c["cpu_ms"] for c in cases.values())
    return {
        "lines": [line("page from the cache, CPU", worst, "ms", TARGET_MS, floor=floor["cpu_ms"])],
        "name": "page", "rows": None, "runs": requests, "figure_cpu_ms": worst,
        "floor_cpu_ms": floor["cpu_ms"], "ratio": round(worst / floor["cpu_ms"], 1),
        "target": f"{TARGET_MS} ms", "met": worst <= TARGET_MS, "cases": cases,
    }  # fmt: skip


def _pages(
    running: Product, headers: dict[str, str], requests: int, path: str = PAGE
) -> dict[str, Any]:
    web, client = running.child("web"), running.client()
    size = 0
    for _ in range(WARM):
        status, body = client.get(path, headers)
        assert status == 200, status
        size = len(body)
    costs = [cost(lambda: client.get(path, headers), web) for _ in range(requests)]
    client.close()
    total = medians(costs)
    return {
        "cpu_ms": round(total.cpu_s * 1000, 2),
        "mean_cpu_ms": round(sum(c.cpu_s for c in costs) / requests * 1000, 2),
        "wall_ms": round(total.wall_s * 1000, 2),
        "p95_ms": round(percentile((c.wall_s for c in costs), 0.95) * 1000, 2),
        "bytes": size,
    }


if __name__ == "__main__":
    main()
