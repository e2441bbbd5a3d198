"""The demonstration's present: stations that report through the public HTTP door, like any sensor.

Nothing is queued. A station is a cursor on its curve, and what was not acknowledged is drawn again,
so an outage of any length loses nothing. A request that was sent once is repeated byte for byte,
under the same Idempotency-Key, until the door has answered it for good.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from dothi.kernel.time import utc_now
from dothi.packs.demo.curve import rows, step_of
from dothi.packs.demo.spec import STEP_S, Spec, demo_spec

MOST_ROWS = 500
"""Rows in one request, when stations have to catch up."""
LONGEST_WAIT_S = 30.0
TIMEOUT_S = 10.0
HOPELESS = frozenset({400, 409, 413, 422})
"""The door has read the request and will never take it; anything else may pass."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sending:
    """Rows on their way, and where each station stands once they have arrived."""

    body: bytes
    key: str
    reached: dict[str, int]


def feed(
    base_url: str,
    api_key: str,
    stop: threading.Event,
    *,
    spec: Spec | None = None,
    since: datetime | None = None,
    now: Callable[[], datetime] = utc_now,
    tick_s: float = 1.0,
) -> None:
    """Report until told to stop. `since`: the instant up to which all stations have reported.

    Every station reports each five minutes, one after the other. While the door is away, refuses
    or answers with an error, the wait between attempts doubles, up to half a minute.
    """
    spec = spec or demo_spec()
    reached = dict.fromkeys((s.code for s in spec.stations), step_of(since or now()))
    door = Door(base_url, api_key, spec.dataset)
    waiting: Sending | None = None
    wait_s = tick_s
    try:
        while not stop.is_set():
            waiting = waiting or _next_request(spec, reached, now())
            if waiting is None:
                stop.wait(tick_s)
            elif door.takes(waiting):
                reached |= waiting.reached
                waiting, wait_s = None, tick_s
            else:
                stop.wait(max(wait_s, min(door.retry_after_s, LONGEST_WAIT_S)))
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
    finally:
        door.close()


def _next_request(spec: Spec, reached: dict[str, int], now: datetime) -> Sending | None:
    """What has to be reported now; stations that are behind catch up side by side."""
    found: list[dict[str, Any]] = []
    arrived: dict[str, int] = {}
    most = max(1, MOST_ROWS // len(spec.stations))
    for place, station in enumerate(spec.stations):
        first = reached[station.code] + 1
        last = min(_due(spec, place, now), first + most - 1)
        if first > last:
            continue
        made = rows(spec, station, first, last)
        found += made
        if made:
            arrived[station.code] = last
        else:
            reached[station.code] = last
    if not found:
        return None
    found.sort(key=lambda row: row["time"])
    body = json.dumps({"rows": found}, ensure_ascii=False, separators=(",", ":")).encode()
    return Sending(body, f"demo-{hashlib.sha256(body).hexdigest()[:40]}", arrived)


def _due(spec: Spec, place: int, now: datetime) -> int:
    """The last step a station has reported by now: each a little after the one before it."""
    return int((now.timestamp() - place * STEP_S / len(spec.stations)) // STEP_S)


class Door:
    """One kept connection to the HTTP door, made again when it breaks."""

    def __init__(self, base_url: str, api_key: str, dataset: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{base_url!r} is not an http address")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        self._connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=TIMEOUT_S)
        self._path = f"{parts.path.rstrip('/')}/api/v1/datasets/{dataset}/rows"
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "User-Agent": "dothi-demo",
        }
        self.retry_after_s = 0.0
        self._complaint = ""

    def takes(self, request: Sending) -> bool:
        """Whether the request is done with: stored, or never to be stored."""
        self.retry_after_s = 0.0
        try:
            self._connection.request(
                "POST", self._path, request.body, self._headers | {"Idempotency-Key": request.key}
            )
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self._complain(f"{type(error).__name__}: {error}")
            return False
        if 200 <= answer.status < 300:
            self._complaint = ""
            return True
        if answer.status in HOPELESS:
            log.error("demonstration rows refused for good: %s %s", answer.status, text[:500])
            return True
        wait = answer.headers.get("Retry-After", "")
        self.retry_after_s = float(wait) if wait.isdecimal() else 0.0
        self._complain(f"{answer.status} {answer.reason}")
        return False

    def close(self) -> None:
        self._connection.close()

    def _complain(self, text: str) -> None:
        """Say what is wrong once, not at every attempt."""
        if text != self._complaint:
            log.warning("demonstration rows wait: %s", text)
        self._complaint = text
