"""Where the password of a source lies: a file of the home that is never shown, or a variable."""

from __future__ import annotations

import os

from dothi.kernel.errors import Conflict, Invalid
from dothi.pulls.model import Source
from dothi.store.home import Home, write_durably

LONGEST = 1_000


def keep(home: Home, source: Source, password: str) -> None:
    """Keep a source's password instead of the one before. Raises Invalid, and Conflict for a source
    whose password is in a variable."""
    if source.password_env is not None:
        raise Conflict("pulls.password_in_variable", name=source.password_env)
    if not 0 < len(password) <= LONGEST or not password.isprintable():
        raise Invalid("pulls.password_unusable", most=LONGEST)
    home.secrets.mkdir(mode=0o700, exist_ok=True)
    write_durably(home.secrets / _file(source), password, 0o600)


def there(home: Home, source: Source) -> bool:
    """Whether a password is known; whether it is right only the source can tell."""
    if source.password_env is not None:
        return bool(os.environ.get(source.password_env))
    return (home.secrets / _file(source)).exists()


def of(home: Home, source: Source) -> str:
    """The password. Raises Conflict when there is none yet."""
    if source.password_env is not None:
        if text := os.environ.get(source.password_env):
            return text
        raise Conflict("pulls.no_variable", name=source.password_env)
    try:
        return (home.secrets / _file(source)).read_text("utf-8")
    except FileNotFoundError:
        raise Conflict("pulls.no_password", name=source.name) from None


def _file(source: Source) -> str:
    return f"pull_{source.id:d}"
