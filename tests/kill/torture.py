"""`python -m tests.kill.torture --kills 200`: kills at random instants while rows keep coming.

Writers send rows and files; work items are opened; days are closed and files merged. Meanwhile one
process after the other is killed: supervisor, web, worker, postmaster, a part of PostgreSQL, and
beside these whoever closes days. At the end the ledger is compared with the store. Prints figures
as JSON; exit code 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg

from dothi.identity.agencies import agency_id
from dothi.identity.model import SYSTEM
from dothi.kernel.errors import DothiError
from dothi.kernel.time import VN, day_start, local_date, utc_now
from dothi.store.database import Database
from dothi.work.model import Severity
from dothi.work.service import Opening, open_item
from tests.kill import checker, ledger
from tests.kill.instance import ROOT, VICTIMS, Instance, running
from tests.kill.writers import Writers

SERVES_AGAIN_S = 10.0
"""On a machine that is not overloaded by others; see `allowed_s`."""
CATCHES_UP_S = 300.0
RECOVERS_S = 60.0
AIMS = 8
"""How often a kill waits for a request in flight; then it kills all the same."""


@dataclass
class Figures:
    """What a run measured."""

    kills: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    at_home_work: Counter[str] = field(default_factory=Counter)
    extra_kills: int = 0
    starts_s: list[float] = field(default_factory=list)
    """From `dothi up` after a kill of the supervisor until it serves."""
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)
    """From a kill until the next acknowledgement, by victim."""
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.kills.values())

    @property
    def in_flight_share(self) -> float:
        return self.in_flight / max(self.count, 1)


def allowed_s() -> float:
    """How long a start may take now: longer where several processes wait for each processor."""
    return SERVES_AGAIN_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / 2)


class Housekeeper:
    """The process that closes days and merges files, replaced when it was killed."""

    def __init__(self, home: Path) -> None:
        self._argv = [sys.executable, "-m", "tests.kill.housekeeper", str(home)]
        self._log = (home.parent / "housekeeper.log").open("ab")
        self.at = "rest"
        self.rounds: Counter[str] = Counter()
        self.start()

    def start(self) -> None:
        self.at = "rest"
        self.process = subprocess.Popen(
            self._argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            word = line.strip()
            if word == "rest" or word.startswith("failed"):
                self.rounds[self.at if word == "rest" else word] += 1
                word = "rest"
            self.at = word

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.at = "rest"

    def ensure(self) -> None:
        if self.process.poll() is not None:
            self.start()

    def close(self) -> None:
        self.kill()
        self._log.close()


class WorkItems:
    """Opens work items whose rungs fire within seconds, all through the run."""

    def __init__(self, instance: Instance, chance: random.Random) -> None:
        self._db = instance.database()
        self._chance = chance
        self._number = 0
        with self._db.transaction() as conn:
            found = agency_id(conn, "so-nnmt")
        assert found is not None
        self._agency = found

    def open(self, count: int, longest_s: float) -> None:
        for _ in range(count):
            self._number += 1
            title = f"Kill test {self._number}"
            opening = Opening(
                kind="alarm", title={"vi": title, "en": title}, severity=Severity.WARNING,
                agency_id=self._agency, dedupe_key=f"kill:{self._number}",
                budget=timedelta(seconds=self._chance.uniform(2, longest_s)),
            )  # fmt: skip
            with suppress(DothiError, psycopg.Error), self._db.transaction() as conn:
                open_item(conn, SYSTEM, opening)

    def close(self) -> None:
        self._db.close()


class Torture:
    """One run on one instance."""

    def __init__(self, instance: Instance, *, seed: int, rows_per_s: float = 500.0) -> None:
        self.instance = instance
        self.figures = Figures()
        self.chance = random.Random(seed)
        self.folder = instance.home.path.parent
        day = day_start(local_date(utc_now(), VN), VN)
        self.ledger = ledger.Ledger(self.folder / f"ledger-{seed}", day)
        self.writers = Writers(
            instance.port, instance.key(), self.ledger, instance.home.path,
            day=day, rows_per_s=rows_per_s, seed=seed,
        )  # fmt: skip
        self.work = WorkItems(instance, self.chance)
        self.housekeeper = Housekeeper(instance.home.path)

    def run(self, kills: int, *, seconds: float = float("inf"), say: Callable[[str], None]) -> None:
        """Kill until the number or the time is reached, everything once in any case; then let the
        writers end."""
        began = time.monotonic()
        self.work.open(20, 30.0)
        self.writers.start()
        self._until_acknowledged(0, RECOVERS_S)
        # In each round every victim once, in another order.
        rounds = kills // len(VICTIMS) + 1
        plan = [v for _ in range(rounds) for v in self.chance.sample(VICTIMS, len(VICTIMS))]
        while self.figures.count < kills and (
            time.monotonic() - began < seconds or self.figures.count < len(VICTIMS)
        ):
            self._kill(plan[self.figures.count % len(plan)])
            if self.chance.random() < 0.3:
                self.work.open(2, 20.0)
            if self.figures.count % 10 == 0:
                say(f"{self.figures.count} kills, {self.ledger.acks} acknowledgements")
        self._until_acknowledged(self.ledger.acks, RECOVERS_S)
        self.writers.stop()
        self.figures.seconds = time.monotonic() - began

    def _kill(self, name: str) -> None:
        self.housekeeper.ensure()
        # Mostly into full work; sometimes while it is still getting up from the kill before.
        if self.chance.random() < 0.85:
            self._until_acknowledged(self.ledger.acks, RECOVERS_S)
        time.sleep(self.chance.uniform(0.0, 1.5))
        if self.chance.random() < 0.5:
            self._until(lambda: self.housekeeper.at != "rest", 3.0)
            time.sleep(self.chance.uniform(0.0, 0.3))
        if (aimed := self._aim(name)) is None:
            return
        victim, mark, acks, at, flying = aimed
        try:
            victim.kill()
        except psutil.Error:
            return
        killed = time.monotonic()
        self.figures.kills[name] += 1
        self.figures.in_flight += flying > 0
        self.figures.at_home_work[at] += 1
        if self.chance.random() < 0.15:
            self.housekeeper.kill()
            self.figures.extra_kills += 1
        if name == "supervisor":
            self._start_again(mark)
        if self._until_acknowledged(acks + flying, RECOVERS_S):
            self.figures.recoveries_s.setdefault(name, []).append(time.monotonic() - killed)

    def _aim(self, name: str) -> tuple[psutil.Process, str, int, str, int] | None:
        """The victim, what its run carries, acknowledgements, what the housekeeper does and how many
        requests are in flight. Finding the victim takes time: they may have landed by then."""
        tries = 0
        while True:
            self._wait_for_flight()
            victim = self.instance.victim(name, self.chance)
            if victim is None:
                return None
            mark, acks, at = self.instance.mark(), self.ledger.acks, self.housekeeper.at
            flying = self.writers.flight.count()
            tries += 1
            if flying or tries == AIMS:
                return victim, mark, acks, at, flying

    def _wait_for_flight(self) -> None:
        """Come to a random point in the life of a request: most end sooner than anyone aims."""
        for _ in range(5):
            usual_s = self.writers.flight.next_departure(1.0)
            time.sleep(self.chance.uniform(0.0, usual_s))
            if self.writers.flight.count():
                return

    def _start_again(self, mark: str) -> None:
        self.instance.process.wait()
        self.instance.start_again()
        took_s = self.instance.until_ready()
        self.figures.starts_s.append(took_s)
        if took_s > allowed_s():
            self.figures.faults.append(f"served only after {took_s:.1f} s")
        if left := self.instance.leftovers(mark):
            self.figures.faults.append(f"left by the run before: {left}")

    def _until_acknowledged(self, before: int, patience_s: float) -> bool:
        got = self._until(lambda: self.ledger.acks > before, patience_s)
        if not got and not self.figures.faults:
            self.figures.faults.append(f"no acknowledgement for {patience_s} s")
        return got

    def _until(self, condition: Callable[[], bool], patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def settle(self) -> ledger.Book:
        """Stop and start once more, as an operator would, and let the worker catch up."""
        self.housekeeper.close()
        self.work.close()
        self.ledger.close()
        mark = self.instance.mark()
        self.instance.stop()
        if left := self.instance.leftovers(mark):
            self.figures.faults.append(f"left after the stop: {left}")
        self.instance.start_again()
        self.instance.until_ready()
        book = ledger.read(self.ledger.path)
        db = self.instance.database()
        try:
            if not self._until(lambda: _settled(db), CATCHES_UP_S):
                self.figures.faults.append(f"the worker does not catch up in {CATCHES_UP_S} s")
        finally:
            db.close()
        return book

    def check(self, book: ledger.Book) -> list[str]:
        """All that is wrong, with what went wrong meanwhile."""
        db = self.instance.database("checker")
        try:
            found = checker.check(self.instance.home, db, book)
        finally:
            db.close()
        return [*self.figures.faults, *self.writers.refused, *found]

    def report(self, book: ledger.Book) -> dict[str, Any]:
        """The figures, as they are printed."""
        figures = self.figures
        return {
            "kills": figures.count,
            "by_victim": dict(figures.kills),
            "kills_of_housekeeper": figures.extra_kills,
            "in_flight_share": round(figures.in_flight_share, 3),
            "while_housekeeping": dict(figures.at_home_work),
            "housekeeping_rounds": dict(self.housekeeper.rounds),
            "seconds": round(figures.seconds),
            "requests_asked": len(book.asked),
            "requests_acknowledged": len(book.acked),
            "values_acknowledged": book.rows,
            "values_per_s": round(book.rows / max(figures.seconds, 1)),
            "requests_abandoned": len(book.asked) - len(book.acked),
            "replays": sum(ack.replay for ack in book.acked.values()),
            "corrections": sum(book.asked[n].corrects for n in book.acked),
            "answers": dict(self.writers.answers),
            "words": dict(self.writers.words.most_common(10)),
            "start_after_supervisor_kill_s": _spread(figures.starts_s),
            "next_acknowledgement_s": {
                name: _spread(times) for name, times in sorted(figures.recoveries_s.items())
            },
        }


def _settled(db: Database) -> bool:
    with suppress(DothiError, psycopg.Error):
        return checker.caught_up(db)
    return False


def _spread(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    ordered = sorted(times)
    return {
        "n": len(times),
        "median": round(statistics.median(ordered), 2),
        "p95": round(ordered[math.ceil(0.95 * len(ordered)) - 1], 2),
        "most": round(ordered[-1], 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after this time")
    parser.add_argument("--rows-per-second", type=float, default=500.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--keep", type=Path, help="folder for home and ledger, kept afterwards")
    args = parser.parse_args()
    if args.keep:
        args.keep.mkdir(mode=0o711, parents=True)
    print(f"seed {args.seed}", file=sys.stderr)
    with running(args.keep and args.keep / "home") as instance:
        torture = Torture(instance, seed=args.seed, rows_per_s=args.rows_per_second)
        torture.run(args.kills, seconds=args.seconds, say=lambda text: print(text, file=sys.stderr))
        book = torture.settle()
        report = torture.report(book)
        found = torture.check(book)
    if torture.figures.in_flight_share < 0.9:
        found.append(f"requests in flight at only {torture.figures.in_flight_share:.0%} of kills")
    print(json.dumps({**report, "faults": found}, indent=1))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
