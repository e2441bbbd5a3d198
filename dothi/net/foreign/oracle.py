"""Oracle Database, by python-oracledb in its thin mode (an extra). Not tried with a real server yet."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dothi.net.foreign.model import CONNECT_S, Cell, ForeignError, MarkType, Place, shown
from dothi.net.foreign.values import as_object, as_text

MANY = 500
_LOGIN = ("ORA-01017", "ORA-28000", "ORA-28001", "ORA-01045", "DPY-4001")
_NO_DATABASE = ("ORA-12514", "ORA-12505", "DPY-6001", "DPY-6003")
_NO_PERMISSION = ("ORA-01031", "ORA-00942")
_TOO_SLOW = ("DPY-4024", "ORA-01013")
_UNREACHABLE = ("DPY-6005", "DPY-6000", "ORA-12541", "ORA-12170")
_GONE = ("DPY-4011", "ORA-03113", "ORA-03135")


class Driver:
    """As `model.Driver`. `database` of the place is the service's name. Column names that the server
    wrote in capitals of its own come in small letters."""

    parameter = ":1"
    zero_dates = 0

    def __init__(self, place: Place, _addresses: Sequence[str], statement_s: int) -> None:
        self._place = place
        self._statement_s = statement_s
        try:
            self._oracle: Any = importlib.import_module("oracledb")
        except ImportError:
            raise ForeignError("pulls.no_driver", package="oracledb", kind="Oracle") from None
        self._oracle.defaults.fetch_lobs = False
        self._oracle.defaults.fetch_decimals = True
        with self._told():
            self._conn = self._oracle.connect(
                user=place.account, password=place.password, host=place.host, port=place.port,
                service_name=place.database, tcp_connect_timeout=CONNECT_S, retry_count=0,
                **_trust(place),
            )  # fmt: skip
            self._conn.call_timeout = statement_s * 1000
            self._conn.cursor().execute("SET TRANSACTION READ ONLY")

    @contextmanager
    def _told(self) -> Iterator[None]:
        place = self._place
        try:
            yield
        except OSError as error:
            raise ForeignError("pulls.gone", problem=shown(error)) from error
        except self._oracle.Error as error:
            code = str(getattr(error.args[0] if error.args else None, "full_code", ""))
            problem = shown(error)
            said: dict[str, Any] = {"problem": problem}
            for codes, key, more in (
                (_LOGIN, "pulls.login", {"account": place.account}),
                (_NO_DATABASE, "pulls.no_database", {"database": place.database}),
                (_UNREACHABLE, "pulls.unreachable", {"host": place.host, "port": place.port}),
                (_NO_PERMISSION, "pulls.no_permission", {}),
                (_TOO_SLOW, "pulls.too_slow", {"seconds": self._statement_s}),
                (_GONE, "pulls.gone", {}),
            ):
                if code in codes:
                    raise ForeignError(key, **said, **more) from error
            raise ForeignError("pulls.bad_query", problem=problem) from error

    def source(self, query: str) -> str:
        return f"({query}\n) q"

    def escaped(self, sql: str) -> str:
        return sql

    def quote(self, name: str) -> str:
        # As in `columns`: small letters are the server's own capitals.
        return '"' + (name.upper() if name.islower() else name).replace('"', "") + '"'

    def bind(self, text: str, kind: MarkType) -> Any:
        return as_object(text, kind)

    def columns(self, sql: str) -> list[str]:
        with self._told(), self._conn.cursor() as cursor:
            cursor.execute(sql)
            names = [column[0] for column in cursor.description or ()]
        return [name.lower() if name.isupper() else name for name in names]

    def number(self, sql: str, values: Sequence[Any]) -> int:
        with self._told(), self._conn.cursor() as cursor:
            cursor.execute(sql, list(values))
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    def rows(self, sql: str, values: Sequence[Any]) -> Iterator[Sequence[Cell]]:
        with self._told():
            cursor = self._conn.cursor()
            cursor.arraysize = MANY
            cursor.execute(sql, list(values))
        while True:
            with self._told():
                found = cursor.fetchmany(MANY)
            if not found:
                return
            for row in found:
                yield [as_text(cell) for cell in row]


def _trust(place: Place) -> dict[str, Any]:
    """How the connection is protected. The driver resolves the host's name itself; `hold_to` keeps
    it to the addresses that were checked."""
    if place.tls == "off":
        return {"protocol": "tcp"}
    return {"protocol": "tcps", "ssl_server_dn_match": place.tls == "verify"}
