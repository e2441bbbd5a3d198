"""Passwords: what makes one acceptable, and how it is kept (argon2id, never in clear)."""

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from dothi.kernel.errors import Fault, TooMany
from dothi.kernel.text import nfc, search_key

MEMORY_KIB = 47_104
PASSES = 2
"""46 MiB and two passes in one lane: about 70 ms on a server core of 2025, and above the floor of
46 MiB with one pass that OWASP's Password Storage Cheat Sheet gives for argon2id."""

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 256

# Without i, l, o, 0 and 1, which people misread when they copy a password from a screen.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"

_GUESSED_FIRST = """
    password passwd matkhau admin administrator root user guest test demo login letmein welcome
    qwerty qwertyuiop asdfghjkl zxcvbnm qazwsx iloveyou anhyeuem emyeuanh yeuem monkey dragon
    football sunshine princess master superman secret changeme default hethong quantri vietnam
    hanoi saigon tphcm danang daklak dothi dothithongminh congan ubnd tinhuy hochiminh xinchao
    khongbiet toiyeuvietnam
"""
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_LOOKALIKE = str.maketrans("@4831!05$7", "aaeeiiosst")


class Passwords:
    """Hashing and checking, never more than `slots` at a time.

    One check takes 46 MiB and a core for its time; a flood of logins waits in a queue of bounded
    length and patience instead of taking the machine, and what finds no place raises TooMany.
    """

    def __init__(
        self,
        *,
        slots: int = 2,
        queue: int = 16,
        patience_s: float = 4.0,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
    ) -> None:
        self._places = threading.BoundedSemaphore(slots + queue)
        self._slots = threading.BoundedSemaphore(slots)
        self._patience_s = patience_s
        self._hasher = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=1, type=Type.ID
        )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A slot for one check and what belongs to it."""
        if not self._places.acquire(blocking=False):
            raise TooMany("identity.login_busy", retry_after_s=2)
        try:
            if not self._slots.acquire(timeout=self._patience_s):
                raise TooMany("identity.login_busy", retry_after_s=2)
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._places.release()

    def hash(self, password: str) -> str:
        """The stored form, with salt and parameters in it."""
        return self._hasher.hash(_bytes(password))

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; as slow for an account that does not exist (None)."""
        try:
            self._hasher.verify(stored or self._nobodys, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters and should be made anew."""
        return self._hasher.check_needs_rehash(stored)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_hex(16))


def faults(password: str, login: str) -> list[Fault]:
    """Everything that makes it unfit, for the field `password`."""
    text = _plain(password)
    found: list[str] = []
    if len(text) < LEAST_CHARACTERS:
        found.append("identity.password_short")
    if len(text) > MOST_CHARACTERS:
        return [Fault("password", "identity.password_long", {"most": MOST_CHARACTERS})]
    if len(login) >= 3 and login.casefold() in text.casefold():
        found.append("identity.password_is_login")
    if guessable(text):
        found.append("identity.password_common")
    return [Fault("password", key, {"least": LEAST_CHARACTERS}) for key in found]


def guessable(password: str) -> bool:
    """Whether it is among the first that a guesser tries: digits only, one word that everybody
    uses with digits or signs around it, a run along the keyboard, a short piece repeated."""
    folded = search_key(password)
    if re.fullmatch(r"[\d\W_]*", folded):
        return True
    if re.fullmatch(r"(.{1,4}?)\1+.{0,3}", folded) and len(set(folded)) <= 5:
        return True
    words = _GUESSED_FIRST.split()
    without_tail = re.sub(r"[\W\d_]+$", "", folded)
    for reading in (folded, without_tail.translate(_LOOKALIKE)):
        letters = re.sub(r"[\W\d_]+", "", reading)
        if letters in words or letters in [word + word for word in words]:
            return True
    return _runs(folded) >= len(folded) - 2


def generate() -> str:
    """A random password of 80 bits that can be read out and typed: `k7mf-2xqa-…`."""
    groups = ("".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(4))
    return "-".join(groups)


def _plain(password: str) -> str:
    # Vietnamese keyboards give the same letter composed or decomposed.
    return nfc(password[: 4 * MOST_CHARACTERS])


def _bytes(password: str) -> bytes:
    return _plain(password).encode("utf-8", "surrogatepass")


def _runs(text: str) -> int:
    """How many characters continue a row of the keyboard or the alphabet, either way."""
    steps = {a + b for row in _ROWS for a, b in pairwise(row)}
    steps |= {b + a for a, b in steps}
    return sum(text[i : i + 2] in steps for i in range(len(text) - 1)) + 1
