"""What machines ask about us: alive, ready, figures for Prometheus."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

from litestar import MediaType, get
from litestar.di import NamedDependency

from dothi.store.database import Database
from dothi.web.live import Hub

Figures = Callable[[], dict[str, float]]


@get("/healthz", opt={"access": None}, media_type=MediaType.TEXT)
async def healthz() -> str:
    """This process answers."""
    return "ok\n"


@get("/readyz", opt={"access": None}, media_type=MediaType.TEXT, sync_to_thread=True)
def readyz(db: NamedDependency[Database]) -> str:
    """The database answers too: requests can be served. Raises Unavailable."""
    with db.transaction() as conn:
        conn.execute("SELECT 1")
    return "ready\n"


@get("/metrics", opt={"access": None}, media_type=MediaType.TEXT, sync_to_thread=True)
def metrics(hub: NamedDependency[Hub], figures: NamedDependency[Figures]) -> str:
    """Figures of this process in Prometheus' text form."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    values = {
        "process_cpu_seconds_total": used.ru_utime + used.ru_stime,
        "process_resident_memory_peak_bytes": used.ru_maxrss * 1024.0,
        "dothi_live_streams": float(hub.streams),
        **figures(),
    }
    return "".join(f"{name} {value}\n" for name, value in values.items())


class Requests:
    """Counts requests and how long they took, by status class."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}
        self.seconds = 0.0

    def middleware(self, app: Any) -> Any:
        """An ASGI application that counts what passes through."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            began = time.monotonic()

            async def note(message: Any) -> None:
                if message["type"] == "http.response.start":
                    status = f"{message['status'] // 100}xx"
                    self.count[status] = self.count.get(status, 0) + 1
                    self.seconds += time.monotonic() - began
                await send(message)

            await app(scope, receive, note)

        return counted

    def figures(self) -> dict[str, float]:
        """Counts for `/metrics`."""
        out = {
            f'dothi_http_requests_total{{status="{status}"}}': float(count)
            for status, count in sorted(self.count.items())
        }
        return out | {"dothi_http_request_seconds_total": self.seconds}
