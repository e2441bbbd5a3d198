"""Microsoft SQL Server, by python-tds (an extra). Not tried with a real server yet."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dothi.net.foreign.model import CONNECT_S, Cell, ForeignError, MarkType, Place, shown
from dothi.net.foreign.mysql import connected
from dothi.net.foreign.values import as_object, as_text

MANY = 500
_LOGIN = (18452, 18456, 18470, 18487, 18488)


class Driver:
    """As `model.Driver`. There is no read-only transaction: what the account may do decides."""

    parameter = "%s"
    zero_dates = 0

    def __init__(self, place: Place, addresses: Sequence[str], statement_s: int) -> None:
        self._place = place
        self._statement_s = statement_s
        try:
            self._tds: Any = importlib.import_module("pytds")
        except ImportError:
            raise ForeignError("pulls.no_driver", package="python-tds", kind="SQL Server") from None
        sock = connected(place, addresses)
        with self._told():
            self._conn = self._tds.connect(
                dsn=place.host, port=place.port, database=place.database, user=place.account,
                password=place.password, timeout=statement_s, login_timeout=CONNECT_S,
                appname="dothi pull", readonly=True, sock=sock, disable_connect_retry=True,
                cafile=place.ca_file if place.tls != "off" else None,
                validate_host=place.tls == "verify",
            )  # fmt: skip

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ForeignError("pulls.gone", problem=shown(error)) from error
        except self._tds.Error as error:
            number = getattr(error, "msg_no", 0)
            if isinstance(error, self._tds.LoginError) or number in _LOGIN:
                raise ForeignError(
                    "pulls.login", account=self._place.account, problem=shown(error)
                ) from error
            if isinstance(error, getattr(self._tds, "TimeoutError", ())):
                raise ForeignError("pulls.too_slow", seconds=self._statement_s) from error
            raise ForeignError("pulls.bad_query", problem=shown(error)) from error

    def source(self, query: str) -> str:
        return f"({query}\n) AS q"

    def escaped(self, sql: str) -> str:
        return sql.replace("%", "%%")

    def quote(self, name: str) -> str:
        return "[" + name.replace("]", "]]") + "]"

    def bind(self, text: str, kind: MarkType) -> Any:
        return as_object(text, kind)

    def columns(self, sql: str) -> list[str]:
        with self._told(), self._conn.cursor() as cursor:
            cursor.execute(sql)
            return [column[0] for column in cursor.description or ()]

    def number(self, sql: str, values: Sequence[Any]) -> int:
        with self._told(), self._conn.cursor() as cursor:
            cursor.execute(sql, tuple(values))
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    def rows(self, sql: str, values: Sequence[Any]) -> Iterator[Sequence[Cell]]:
        with self._told():
            cursor = self._conn.cursor()
            cursor.execute(sql, tuple(values))
        while True:
            with self._told():
                found = cursor.fetchmany(MANY)
            if not found:
                return
            for row in found:
                yield [as_text(cell) for cell in row]
