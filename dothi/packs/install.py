"""Making the packs' datasets and agencies known to a home."""

from __future__ import annotations

from collections.abc import Iterable

from dothi.identity.accounts import FIRST_AGENCY
from dothi.identity.agencies import add_agency, find_agency
from dothi.identity.model import SYSTEM, Agency
from dothi.lake import registry
from dothi.packs.model import Pack
from dothi.store.database import Connection


def install(conn: Connection, packs: Iterable[Pack]) -> None:
    """Register agencies that are missing and every dataset, in the caller's transaction.

    Run at each start: what is there already stays as it is, an agency under its own name too.
    Raises Conflict where a contract would break what is stored.
    """
    for pack in packs:
        owner = pack.owner
        if find_agency(conn, owner.code) is None:
            # Below the province, so that its leaders and auditors stand above it.
            parent = FIRST_AGENCY.code if find_agency(conn, FIRST_AGENCY.code) else None
            made = Agency(owner.code, owner.title["vi"], owner.title["en"], parent=parent)
            add_agency(conn, made, actor=SYSTEM)
        for contract in pack.contracts:
            registry.register(conn, contract)
