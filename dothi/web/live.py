"""Live screens: one reader of the event log for each process, fanned out to open streams.

A ring says only that something of a topic changed; what changed is fetched through the doors that
ask the policy. `version` counts a topic's rings, so that a cache knows what it may still show; `heard` is
how far the log was told, so that a page says what it knows and is rung for what came since.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable

from dothi.kernel.time import utc_now
from dothi.store import events
from dothi.store.database import Database
from dothi.store.events import Event, Listener, Position

BEAT_S = 10.0
DEAF_AFTER_S = 5.0
"""Without a look into the log for so long the hub cannot know what rang: pages must say so."""
MOST_STREAMS = 2_000

log = logging.getLogger(__name__)

TopicsOf = Callable[[Event], Iterable[str]]


class _Stream:
    def __init__(self, topics: frozenset[str], loop: asyncio.AbstractEventLoop) -> None:
        self.topics = topics
        self.rung: set[str] = set()
        self.wake = asyncio.Event()
        self.loop = loop


class Hub:
    """Hears the event log, counts topics, wakes the streams that asked for them."""

    def __init__(self, db: Database, topics_of: TopicsOf, build: str) -> None:
        self._db = db
        self._topics_of = topics_of
        self._build = build
        self._lock = threading.Lock()
        self._streams: set[_Stream] = set()
        self._versions: Counter[str] = Counter()
        self._rung: dict[str, Position] = {}
        self._position: Position | None = None
        self._began: Position | None = None
        self._told: Position | None = None
        self._closed = threading.Event()
        self._looked = time.monotonic()
        self._listener: Listener | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._looked = time.monotonic()
        self._listener = Listener(self._db, self._look, poll_s=1.0)
        threading.Thread(target=self._watch, name="hub", daemon=True).start()

    def close(self) -> None:
        """End every stream; called from the signal handler, so it only sets flags."""
        self._closed.set()
        self._wake_all()

    @property
    def deaf(self) -> bool:
        """Whether the log could not be read for a while: the database is away."""
        return time.monotonic() - self._looked > DEAF_AFTER_S

    def _watch(self) -> None:
        """End the streams when the hub goes deaf, so that their pages say that they are not live."""
        while not self._closed.wait(1.0):
            if self.deaf:
                self._wake_all()

    def _wake_all(self) -> None:
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.loop.call_soon_threadsafe(stream.wake.set)

    def stop(self) -> None:
        """End the listener too."""
        self.close()
        if self._listener is not None:
            self._listener.close()

    @property
    def streams(self) -> int:
        """How many pages listen."""
        return len(self._streams)

    def version(self, topics: Iterable[str]) -> int:
        """A number that grows when one of the topics is rung."""
        return sum(self._versions[topic] for topic in topics)

    @property
    def heard(self) -> str:
        """The place in the log up to which topics were rung; empty before the first look."""
        told = self._told
        return f"{told[0]}.{told[1]}" if told else ""

    def _look(self) -> None:
        while True:
            with self._db.transaction() as conn:
                if self._position is None:
                    self._position = self._began = self._told = events.newest(conn)
                found = events.read(conn, self._position, limit=500)
            self._looked = time.monotonic()
            if not found:
                return
            self._position = (found[-1].tx, found[-1].id)
            topics = {topic for event in found for topic in self._topics_of(event)}
            self.ring(topics)
            self._told = self._position

    def ring(self, topics: set[str]) -> None:
        """Count the topics and wake who asked for them."""
        if not topics:
            return
        self._versions.update(topics)
        with self._lock:
            if self._position is not None:
                self._rung.update(dict.fromkeys(topics, self._position))
            streams = [s for s in self._streams if not s.topics.isdisjoint(topics)]
        for stream in streams:
            stream.loop.call_soon_threadsafe(_wake, stream, topics & stream.topics)

    async def stream(self, topics: frozenset[str], since: str = "") -> AsyncIterator[bytes]:
        """The bytes of one page's event stream, until the page or we end it, or the hub goes deaf.

        `since` is what the page had heard when it was made; what was rung after it rings at once.
        """
        stream = _Stream(topics, asyncio.get_running_loop())
        with self._lock:
            self._streams.add(stream)
            missed = self._missed(topics, since)
        try:
            yield _event("hello", {"build": self._build, "now": utc_now().isoformat()})
            if missed:
                yield _event("ring", {"topics": sorted(missed)})
            while not (self._closed.is_set() or self.deaf):
                try:
                    async with asyncio.timeout(BEAT_S):
                        await stream.wake.wait()
                except TimeoutError:
                    yield _event("beat", {"now": utc_now().isoformat()})
                    continue
                stream.wake.clear()
                rung, stream.rung = stream.rung, set()
                if rung:
                    yield _event("ring", {"topics": sorted(rung)})
        finally:
            with self._lock:
                self._streams.discard(stream)

    def _missed(self, topics: frozenset[str], since: str) -> set[str]:
        known = _position(since)
        if known is None:
            return set()
        if self._began is None or known < self._began:
            return set(topics)  # this process does not know what was rung before it
        return {topic for topic in topics if self._rung.get(topic, known) > known}


def _position(text: str) -> Position | None:
    tx, _, number = text.partition(".")
    if len(text) > 40 or not (text.isascii() and tx.isdecimal() and number.isdecimal()):
        return None
    return int(tx), int(number)


def _wake(stream: _Stream, topics: set[str]) -> None:
    stream.rung |= topics
    stream.wake.set()


def _event(name: str, data: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
