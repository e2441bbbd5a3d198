"""When an open item and the steps of its ladder are due, written to their rows."""

from dataclasses import replace
from datetime import datetime

from dothi.kernel.clock import Clock
from dothi.store.database import Connection
from dothi.work import store
from dothi.work.model import CLOSED, State


def retime(conn: Connection, item_id: int, state: State, clock: Clock) -> datetime | None:
    """Set when its waiting rungs fire and give when the item is due.

    Rungs of an item that is done or closed fire no more; a returned item's wake up again.
    """
    asleep = state is State.DONE or state in CLOSED
    store.time_rungs(
        conn,
        item_id,
        {
            name: None if asleep else replace(clock, budget=after).due()
            for name, after in store.waiting_rungs(conn, item_id)
        },
    )
    return clock.due()
