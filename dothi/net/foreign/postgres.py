"""PostgreSQL, by psycopg: every value as the text that the server itself writes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import psycopg
from psycopg.types.string import TextLoader

from dothi.net.foreign.model import CONNECT_S, Cell, ForeignError, MarkType, Place, shown

FIRST_ROWS = 20
MOST_ROWS = 5_000
FETCH_S = 2.0
"""So long one asking for rows should take: who drips is asked for few at a time."""
MOST_HELD = 8 * 1024 * 1024
"""Characters of rows that are asked for at once."""
_SSLMODES = {"verify": "verify-full", "require": "require", "off": "disable"}
_SESSION = """SET statement_timeout = {ms}; SET lock_timeout = '15s';
    SET idle_in_transaction_session_timeout = '30min'; SET datestyle = 'ISO';
    SET timezone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 1"""


class Driver:
    """As `model.Driver`."""

    parameter = "%s"
    zero_dates = 0

    def __init__(self, place: Place, addresses: Sequence[str], statement_s: int) -> None:
        self._statement_s = statement_s
        self._place = place
        self._conn = self._connect(addresses)
        with self._told():
            self._conn.execute(_own(_SESSION.format(ms=statement_s * 1000)))
            self._conn.commit()
        self._conn.read_only = True
        self._conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for kind in self._conn.adapters.types:
            for oid in (kind.oid, kind.array_oid):
                if oid:
                    self._conn.adapters.register_loader(oid, TextLoader)

    def _connect(self, addresses: Sequence[str]) -> psycopg.Connection[tuple[Any, ...]]:
        place = self._place
        trust = place.ca_file if place.tls == "verify" else None
        error: psycopg.OperationalError | None = None
        for address in addresses:
            try:
                return psycopg.connect(
                    host=place.host, hostaddr=address, port=place.port, dbname=place.database,
                    user=place.account, password=place.password, application_name="dothi pull",
                    connect_timeout=CONNECT_S, sslmode=_SSLMODES[place.tls], gssencmode="disable",
                    client_encoding="UTF8", sslrootcert=trust,
                )  # fmt: skip
            except psycopg.OperationalError as one:
                error = one
        assert error is not None
        raise self._refused(str(error)) from error

    def _refused(self, said: str) -> ForeignError:
        """Why there is no connection. Before a session exists there is no code, only words."""
        place, problem = self._place, shown(said)
        if "certificate" in said or "SSL" in said:
            return ForeignError("pulls.tls", host=place.host, problem=problem)
        if any(word in said for word in ("authentication failed", "pg_hba.conf", "role ")):
            return ForeignError("pulls.login", account=place.account, problem=problem)
        if "database " in said and "does not exist" in said:
            return ForeignError("pulls.no_database", database=place.database, problem=problem)
        return ForeignError("pulls.unreachable", host=place.host, port=place.port, problem=problem)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise ForeignError("pulls.too_slow", seconds=self._statement_s) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise ForeignError("pulls.no_permission", problem=shown(error)) from error
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise ForeignError("pulls.writes", problem=shown(error)) from error
        except (
            psycopg.errors.CharacterNotInRepertoire,
            psycopg.errors.UntranslatableCharacter,
        ) as e:
            raise ForeignError("pulls.bad_text", problem=shown(e)) from e
        except psycopg.Error as error:
            if "out of memory" in str(error):
                raise ForeignError("pulls.memory") from error
            if self._conn.closed or self._conn.broken:
                raise ForeignError("pulls.gone", problem=shown(error)) from error
            raise ForeignError("pulls.bad_query", problem=shown(error)) from error
        except UnicodeDecodeError as error:
            raise ForeignError("pulls.bad_text", problem=shown(error)) from error

    def source(self, query: str) -> str:
        return f"({query}\n) AS q"

    def escaped(self, sql: str) -> str:
        return sql.replace("%", "%%")

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def bind(self, text: str, _kind: MarkType) -> Any:
        # Without a type of its own the server reads it as the column's, digits and offsets kept.
        return text

    def columns(self, sql: str) -> list[str]:
        with self._told():
            cursor = self._conn.execute(_own(sql))
            return [column.name for column in cursor.description or ()]

    def number(self, sql: str, values: Sequence[Any]) -> int:
        with self._told():
            row = self._conn.execute(_own(sql), values or None).fetchone()
        return int(row[0]) if row else 0

    def rows(self, sql: str, values: Sequence[Any]) -> Iterator[Sequence[Cell]]:
        with self._told():
            cursor = self._conn.cursor(name="pull")
            cursor.execute(_own(sql), values or None)
        many = FIRST_ROWS
        while True:
            began = time.monotonic()
            with self._told():
                found = cursor.fetchmany(many)
            if not found:
                return
            yield from found
            held = sum(len(cell) for row in found for cell in row if cell is not None)
            taken_s = max(time.monotonic() - began, 0.001)
            fitting = len(found) * min(MOST_HELD / max(held, 1), FETCH_S / taken_s, 5.0)
            many = max(1, min(MOST_ROWS, int(fitting)))


def _own(text: str) -> LiteralString:
    """The statement of a pull: an officer with the right to manage pulls wrote it, and it runs with
    what the source lets the account read, in a transaction that cannot write."""
    return cast(LiteralString, text)
