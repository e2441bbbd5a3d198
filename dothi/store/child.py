"""A place in the supervisor's table: the program that runs there, and when it comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from dothi.kernel.i18n import t
from dothi.store.processes import ProcessId

SHORT_LIFE_S = 10.0
"""A process that ends sooner counts as failing at its start."""

DELAYS_S = (0.05, 0.1, 0.3, 0.7, 1.5, 3.0, 6.0, 10.0)
"""Pause before the next start, by the number of short lives in a row."""

LONGEST_AFTER_KILL_S = 0.7
"""Longest such pause after SIGKILL: somebody's kill is rarely the program's fault."""

CRASH_LOOP = 4
"""So many short lives in a row are a fault of the program, not an accident."""

FINAL = 78
"""Exit code of a program that would fail the same way again (EX_CONFIG of sysexits.h)."""

LONGEST_LOG = 16 * 1024 * 1024


@dataclass
class Child:
    """What runs in this place, and what became of those before it.

    `once`: it has done its work when it ends with 0. `restarted` False: it is never started again.
    """

    name: str
    start: Callable[[], Popen[bytes]]
    log: Path
    once: bool = False
    restarted: bool = True
    process: Popen[bytes] | None = None
    identity: ProcessId | None = None
    born_at: float = 0.0
    short_lives: int = 0
    restarts: int = 0
    due_at: float | None = None
    code: int | None = None
    complained: bool = False

    def launch(self) -> None:
        """Start the program now. Raises OSError when there is none to start."""
        self.due_at = self.code = None
        self.born_at = time.monotonic()
        self.process = self.start()
        self.identity = ProcessId.of(self.process.pid)

    def ended(self, code: int, *, proven: bool) -> bool:
        """Note that the program is no more; True when it is to be started again at `due_at`.

        Until the whole was `proven` to work once, every life counts as short.
        """
        now = time.monotonic()
        self.process = self.identity = None
        self.code = code
        if not self.restarted or (self.once and code == 0):
            return False
        short = not proven or now - self.born_at < SHORT_LIFE_S
        self.short_lives = self.short_lives + 1 if short else 0
        self.restarts += 1
        delay_s = DELAYS_S[min(self.short_lives, len(DELAYS_S) - 1)]
        if code == -signal.SIGKILL:
            delay_s = min(delay_s, LONGEST_AFTER_KILL_S)
        self.due_at = now + delay_s
        return True

    def forgive(self, now: float) -> None:
        """A program that has run long enough starts with a clean record."""
        if self.process and self.short_lives and now - self.born_at > SHORT_LIFE_S:
            self.short_lives, self.complained = 0, False

    @property
    def hopeless(self) -> bool:
        """Does it keep ending right after its start?"""
        return self.short_lives >= CRASH_LOOP or (self.once and self.code == FINAL)

    def how(self, lang: str) -> str:
        """In what way it ended last."""
        code = self.code or 0
        if code < 0:
            return t("supervisor.by_signal", lang, signal=signal.Signals(-code).name)
        return t("supervisor.by_code", lang, code=code)

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
                lines = file.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return "?"
        return lines[-1].strip()[:300] if lines else "?"

    def shorten_log(self) -> None:
        """Keep the log and one predecessor. Writers append, so the file can be cut under them."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size <= LONGEST_LOG:
                return
            with self.log.open("rb+") as log, self.log.with_suffix(".log.1").open("wb") as old:
                while block := log.read(1 << 20):
                    old.write(block)
                log.truncate(0)
