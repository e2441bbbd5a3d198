"""Which tiles a person sees on the overview, and in which order: kept with the account, or for who
has none in a cookie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from dothi.identity.model import Actor
from dothi.store.database import Database
from dothi.store.events import emit

COOKIE = "tiles"
LONGEST = 200
"""Tiles an arrangement may name."""
_KEY = re.compile(r"-?[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Arrangement:
    """Keys in their order; those in `hidden` are not shown. Tiles it does not name come last."""

    order: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()

    @classmethod
    def read(cls, words: Sequence[Any]) -> Arrangement:
        """From what was stored or sent; what is no key is passed over."""
        known = [w for w in words[:LONGEST] if isinstance(w, str) and _KEY.fullmatch(w)]
        order = tuple(dict.fromkeys(w.removeprefix("-") for w in known))
        return cls(order, frozenset(w[1:] for w in known if w.startswith("-")))

    @property
    def words(self) -> list[str]:
        """As it is stored."""
        return [f"-{key}" if key in self.hidden else key for key in self.order]

    def sorted(self, keys: Sequence[str]) -> list[str]:
        """All of the keys in the person's order."""
        place = {key: n for n, key in enumerate(self.order)}
        return sorted(keys, key=lambda key: place.get(key, len(place)))


def kept(db: Database, actor: Actor, cookie: str | None) -> Arrangement:
    """How this person arranged their tiles."""
    if actor.kind == "person" and actor.account_id is not None:
        with db.transaction() as conn:
            row = conn.execute(
                "SELECT tiles FROM screen_arrangement WHERE account_id = %s", (actor.account_id,)
            ).fetchone()
        return Arrangement.read(row[0]) if row else Arrangement()
    return Arrangement.read((cookie or "").split("."))


def topics(actor: Actor) -> tuple[str, ...]:
    """What rings when this person's tiles are arranged anew."""
    return (f"arranged:{actor.account_id}",)


def keep(db: Database, actor: Actor, arrangement: Arrangement) -> str | None:
    """Store it with the account; for who has none the value of the cookie that keeps it."""
    if actor.kind == "person" and actor.account_id is not None:
        with db.transaction() as conn:
            conn.execute(
                """INSERT INTO screen_arrangement (account_id, tiles) VALUES (%s, %s)
                   ON CONFLICT (account_id) DO UPDATE
                   SET tiles = excluded.tiles, changed_at = clock_timestamp()""",
                (actor.account_id, Jsonb(arrangement.words)),
            )
            emit(conn, "screen.arranged", subject=str(actor.account_id))
        return None
    return ".".join(arrangement.words)
