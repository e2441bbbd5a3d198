"""Which passwords are taken, and that logins cannot eat the machine."""

import threading
import time
import unicodedata

import pytest

from dothi.identity.passwords import Passwords, faults, generate, guessable
from dothi.kernel.errors import TooMany


@pytest.mark.parametrize(
    "password",
    [
        "1234567890", "0912 345 678", "2/9/1945-2025", "password123!", "P@ssw0rd2026", "mật khẩu 2026",
        "Hà Nội 123456", "qwertyuiop", "poiuytrewq", "abcdefghijk", "aaaaaaaaaa", "abababababab",
        "QuảnTrị@2026", "adminadmin1", "Vietnam1975!",
    ],
)  # fmt: skip
def test_what_a_guesser_tries_first_is_refused(password: str) -> None:
    assert guessable(password)


@pytest.mark.parametrize(
    "password",
    ["con trâu xanh ăn mây", "k7mf-2xqa-pp3d-h9wu", "Sông Ba chảy ngược", "tr0mpet-harbour-91"],
)
def test_unrelated_words_are_taken(password: str) -> None:
    assert faults(password, "quantri") == []


def test_all_faults_are_named_at_once() -> None:
    found = {fault.key for fault in faults("canbo1", "canbo")}
    assert found == {"identity.password_short", "identity.password_is_login"}
    assert [f.key for f in faults("x" * 257, "canbo")] == ["identity.password_long"]


def test_made_passwords_are_taken_and_differ() -> None:
    made = {generate() for _ in range(200)}
    assert len(made) == 200
    assert all(faults(password, "quantri") == [] for password in made)


def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    hasher = Passwords()
    composed = unicodedata.normalize("NFC", "Sông Ba chảy ngược")
    stored = hasher.hash(composed)
    assert stored.startswith("$argon2id$")
    assert hasher.matches(stored, unicodedata.normalize("NFD", composed))
    assert not hasher.matches(stored, composed + " ")
    assert not hasher.outdated(stored)


def test_hostile_passwords_are_just_wrong() -> None:
    hasher = Passwords()
    stored = hasher.hash("Sông Ba chảy ngược")
    for password in ("", "\0", "\ud800", "x" * 1_000_000):
        assert not hasher.matches(stored, password)
    assert not hasher.matches("not a hash", "x")


def test_an_unknown_account_takes_as_long_as_a_known_one() -> None:
    hasher = Passwords()
    stored = hasher.hash("Sông Ba chảy ngược")
    hasher.matches(None, "warm")

    def spent(against: str | None) -> float:
        began = time.process_time()
        assert not hasher.matches(against, "wrong")
        return time.process_time() - began

    known, unknown = (min(spent(against) for _ in range(5)) for against in (stored, None))
    assert 0.6 < unknown / known < 1.6


def test_a_flood_waits_in_a_short_queue_and_the_rest_is_turned_away() -> None:
    hasher = Passwords(slots=1, queue=2, patience_s=0.2)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with hasher.turn():
            inside.set()
            leave.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(5)
    refused: list[float] = []

    def knock() -> None:
        began = time.monotonic()
        with pytest.raises(TooMany), hasher.turn():
            pass
        refused.append(time.monotonic() - began)

    knockers = [threading.Thread(target=knock) for _ in range(6)]
    for knocker in knockers:
        knocker.start()
    for knocker in knockers:
        knocker.join()
    leave.set()
    holder.join()
    # Two waited out their patience, four were turned away at once.
    assert sum(waited < 0.1 for waited in refused) == 4
    with hasher.turn():
        pass
