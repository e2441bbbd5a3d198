"""What the tests of accounts, sessions and keys begin with."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from dothi.identity.accounts import FIRST_AGENCY, create_account, first_admin
from dothi.identity.agencies import add_agency
from dothi.identity.model import SYSTEM, Account, Agency, Role
from dothi.identity.passwords import Passwords
from dothi.store.database import Database

PASSWORD = "Sông Ba chảy ngược"
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)

MakeAccount = Callable[..., Account]


@pytest.fixture(scope="session")
def hasher() -> Passwords:
    """Real hashing, with a hundredth of the work."""
    return Passwords(memory_kib=1024, passes=1)


@pytest.fixture
def city(db: Database, hasher: Passwords) -> Database:
    """A database with the first administrator and a few agencies below one another."""
    with db.transaction() as conn:
        assert first_admin(conn, PASSWORD, hasher)
        for code, parent in (("env", FIRST_AGENCY.code), ("env.air", "env"), ("build", "tinh")):
            add_agency(
                conn, Agency(code, f"Cơ quan {code}", f"Agency {code}", parent), actor=SYSTEM
            )
    return db


@pytest.fixture
def make_account(city: Database, hasher: Passwords) -> MakeAccount:
    def make(login: str = "canbo", agency: str = "env", *roles: Role) -> Account:
        with city.transaction() as conn:
            return create_account(
                conn,
                login=login,
                display_name="Cán bộ",
                agency=agency,
                roles=roles or [Role.OFFICER],
                password=PASSWORD,
                hasher=hasher,
                actor=SYSTEM,
            )

    return make
