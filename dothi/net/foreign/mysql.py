"""MySQL and MariaDB, by PyMySQL: every value as the text that the server itself writes."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from dothi.net.foreign.model import CONNECT_S, Cell, ForeignError, MarkType, Place, shown

PAUSE_S = 900
"""How long the server waits while we are busy with the rows it sent."""
_LOGIN = (1044, 1045, 1130, 1251, 1698, 4151)
_NO_DATABASE = (1049,)
_TOO_SLOW = (1317, 1969, 3024)
_NO_PERMISSION = (1142, 1143, 1227, 1370)
_WRITES = (1290, 1792)
_GONE = (2006, 2013, 1053, 1927)
_NO_DATE = re.compile(r"0000-|\d{4}-00|\d{4}-\d\d-00")
_DATES = (FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP)


class _NeverInClear:
    """Instead of the way to log in that would show the password to the server as it is."""

    def __init__(self, _connection: object) -> None:
        pass

    def authenticate(self, _packet: object) -> None:
        raise pymysql.err.OperationalError(1251, "the server asks for the password in clear text")


class Driver:
    """As `model.Driver`."""

    parameter = "%s"

    def __init__(self, place: Place, addresses: Sequence[str], statement_s: int) -> None:
        self._place = place
        self._statement_s = statement_s
        self.zero_dates = 0
        self._conn = pymysql.Connection(
            host=place.host, port=place.port, user=place.account,
            # As text it would be sent as Latin-1.
            password=place.password.encode(),
            database=place.database, charset="utf8mb4", cursorclass=SSCursor,
            connect_timeout=CONNECT_S, read_timeout=statement_s + CONNECT_S,
            write_timeout=CONNECT_S, ssl=_trust(place), ssl_disabled=place.tls == "off",
            # Without decoders every value stays the text that it came as.
            conv={**encoders}, autocommit=None,
            defer_connect=True, program_name="dothi pull",
            auth_plugin_map={"mysql_clear_password": _NeverInClear},
        )  # fmt: skip
        with self._told():
            self._conn.connect(connected(place, addresses))
        maria = "mariadb" in self._conn.get_server_info().lower()
        slow = (
            f"max_statement_time = {statement_s:d}" if maria
            else f"max_execution_time = {statement_s * 1000:d}"
        )  # fmt: skip
        for line in (
            f"SET SESSION {slow}",
            "SET SESSION time_zone = '+00:00'",
            f"SET SESSION net_write_timeout = {PAUSE_S:d}",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ):
            with self._told(), self._conn.cursor() as cursor:
                cursor.execute(line)

    @contextmanager
    def _told(self) -> Iterator[None]:
        place = self._place
        try:
            yield
        except UnicodeDecodeError as error:
            raise ForeignError("pulls.bad_text", problem=shown(error)) from error
        except (pymysql.MySQLError, OSError) as error:
            code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            problem = shown(error)
            inner = getattr(error, "original_exception", error)
            if code in _LOGIN:
                raise ForeignError("pulls.login", account=place.account, problem=problem) from error
            if code in _NO_DATABASE:
                raise ForeignError(
                    "pulls.no_database", database=place.database, problem=problem
                ) from error
            if code in _TOO_SLOW or isinstance(inner, TimeoutError):
                raise ForeignError("pulls.too_slow", seconds=self._statement_s) from error
            if isinstance(inner, ssl.SSLError) or code == 2026:
                raise ForeignError("pulls.tls", host=place.host, problem=problem) from error
            if code in _NO_PERMISSION:
                raise ForeignError("pulls.no_permission", problem=problem) from error
            if code in _WRITES:
                raise ForeignError("pulls.writes", problem=problem) from error
            if code in _GONE or isinstance(inner, OSError):
                raise ForeignError("pulls.gone", problem=problem) from error
            raise ForeignError("pulls.bad_query", problem=problem) from error

    def source(self, query: str) -> str:
        return f"({query}\n) AS q"

    def escaped(self, sql: str) -> str:
        return sql.replace("%", "%%")

    def quote(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def bind(self, text: str, kind: MarkType) -> Any:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return Decimal(text)
        # The session is in UTC, and so are its timestamps.
        return text.removesuffix("+00:00")

    def columns(self, sql: str) -> list[str]:
        with self._told(), self._conn.cursor() as cursor:
            cursor.execute(sql)
            return [column[0] for column in cursor.description or ()]

    def number(self, sql: str, values: Sequence[Any]) -> int:
        with self._told(), self._conn.cursor() as cursor:
            cursor.execute(sql, values or None)
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    def rows(self, sql: str, values: Sequence[Any]) -> Iterator[Sequence[Cell]]:
        with self._told():
            cursor = self._conn.cursor()
            cursor.execute(sql, values or None)
            kinds = [int(column[1]) for column in cursor.description or ()]
        while True:
            with self._told():
                row = cursor.fetchone()
            if row is None:
                return
            yield [self._text(cell, kind) for cell, kind in zip(row, kinds, strict=True)]

    def _text(self, cell: Any, kind: int) -> Cell:
        if cell is None:
            return None
        if isinstance(cell, bytes):
            return str(int.from_bytes(cell)) if kind == FIELD_TYPE.BIT else "\\x" + cell.hex()
        if kind in _DATES and _NO_DATE.match(cell):
            self.zero_dates += 1
            return None
        return f"{cell}+00:00" if kind == FIELD_TYPE.TIMESTAMP else cell


def _trust(place: Place) -> ssl.SSLContext | None:
    if place.tls == "off":
        return None
    context = ssl.create_default_context(cafile=place.ca_file)
    if place.tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connected(place: Place, addresses: Sequence[str]) -> socket.socket:
    """A connection to the first address that takes one."""
    problem = ""
    for address in addresses:
        try:
            made = socket.create_connection((address, place.port), CONNECT_S)
        except OSError as error:
            problem = shown(error)
            continue
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    raise ForeignError("pulls.unreachable", host=place.host, port=place.port, problem=problem)
