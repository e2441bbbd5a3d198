"""What the writers asked for and what the product acknowledged, kept outside the product.

A request's rows follow from its number alone, so the ledger holds one short line for each request
before it is sent first (`asked`) and one after its acknowledgement (`acked`). A row's value names
its request: the request's number modulo 900, plus a fraction that names the row.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

STATIONS = 25
"""Stations that the rows of one request are spread over."""
REQUESTS_OF_STATIONS = 400
"""After so many requests other stations send, so that new streams and new alarms go on arising."""
DAYS = 4
POLLUTANTS = ("pm25", "pm10", "o3", "no2", "so2", "co")


@dataclass(frozen=True)
class Request:
    """One request: its number, how many rows and columns of values it has, and through which door.

    `first` is the number of the request whose keys it writes: its own, or the one it corrects.
    `kept` False: sent once and never again if no answer comes.
    """

    number: int
    rows: int
    door: str = "http"
    first: int = -1
    columns: int = 1
    kept: bool = True

    @property
    def corrects(self) -> bool:
        return self.first not in (-1, self.number)

    def values(self, day: datetime) -> Iterator[tuple[str, str, datetime, float]]:
        """Station, parameter, instant, value of everything it stores; `day` is the newest one."""
        for i in range(self.rows):
            station, t = self._place(i, day)
            for c, parameter in enumerate(POLLUTANTS[: self.columns]):
                yield station, parameter, t, self.number % 900 + (i % 64 + 1) / 128 + c / 1024

    def _place(self, i: int, day: datetime) -> tuple[str, datetime]:
        number = self.number if self.first == -1 else self.first
        oldest = day - timedelta(days=DAYS - 1)
        if self.door != "http":
            return f"F{number}", oldest + timedelta(minutes=i)
        group = number // REQUESTS_OF_STATIONS
        slot, back = divmod(number, DAYS)
        turn, hour = divmod(slot, 24)
        t = day - timedelta(days=back) + timedelta(hours=hour, seconds=turn * 4 + i // STATIONS)
        return f"S{group * STATIONS + i % STATIONS}", t


@dataclass(frozen=True)
class Ack:
    """An acknowledgement: the load it names, and the counts it gives."""

    number: int
    load: int
    new: int
    changed: int
    same: int
    replay: bool


@dataclass
class Book:
    """A ledger as it was read back."""

    day: datetime
    asked: dict[int, Request] = field(default_factory=dict)
    acked: dict[int, Ack] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Values that were acknowledged."""
        return sum(self.asked[n].rows * self.asked[n].columns for n in self.acked)


class Ledger:
    """The append-only file. A line stands in it when the method that writes it returns."""

    def __init__(self, path: Path, day: datetime) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self.acks = 0
        self._write({"day": day.isoformat()})

    def asked(self, request: Request) -> None:
        self._write({"asked": asdict(request)})

    def acked(self, ack: Ack) -> None:
        self._write({"acked": asdict(ack)})
        with self._lock:
            self.acks += 1

    def _write(self, line: dict[str, object]) -> None:
        os.write(self._file, (json.dumps(line) + "\n").encode())

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> Book:
    """Read a ledger. Raises ValueError when a request was acknowledged twice."""
    with path.open() as lines:
        book = Book(datetime.fromisoformat(json.loads(next(lines))["day"]))
        for line in lines:
            said = json.loads(line)
            if "asked" in said:
                request = Request(**said["asked"])
                book.asked[request.number] = request
            else:
                ack = Ack(**said["acked"])
                if ack.number in book.acked:
                    raise ValueError(f"request {ack.number} acknowledged twice")
                book.acked[ack.number] = ack
    return book
