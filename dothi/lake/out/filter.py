"""The filter language of the read API: text becomes a predicate, never SQL.

    level >= 2.5 and station in ('G1', 'G2') and not quality = 'missing'
    time between 2026-01-01 and 2026-01-31T23:59 and (note is null or people > 10)

Names are the dataset's columns. Text stands in single or double quotes, which are doubled inside;
numbers, dates, instants, true and false stand bare or in quotes. An instant without an offset is
in the dataset's zone, a date alone is its first instant there. AND binds closer than OR. What a
comparison with a missing value gives is unknown, and unknown admits no row, as in SQL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import NoReturn, cast

from dothi.identity.predicate import (
    And,
    ColumnType,
    Compare,
    Comparison,
    Constant,
    In,
    IsNull,
    Not,
    Or,
    Predicate,
)
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.time import parse_instant

MOST_CHARACTERS = 4_000
MOST_DEPTH = 40
MOST_VALUES = 1_000

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
        |(?P<time>\d{4}-\d\d-\d\d(?:[Tt][0-9:.,]+(?:[Zz]|[+-]\d\d:?\d\d)?)?)
        |(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
        |(?P<name>[A-Za-z_]\w*)
        |(?P<sign><=|>=|!=|<>|[=<>(),]))""",
    re.ASCII | re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "between", "true", "false"})
_COMPARISONS: dict[str, Comparison] = {
    "=": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
}  # fmt: skip


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str, columns: Mapping[str, ColumnType], local: tzinfo) -> Predicate:
    """The predicate a filter says. `columns` may be named; Invalid tells what is wrong and where."""
    if len(text) > MOST_CHARACTERS:
        raise Invalid("out.filter_long", most=MOST_CHARACTERS)
    return _Parser(text, columns, local).run()


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, ColumnType], local: tzinfo) -> None:
        self.columns = columns
        self.local = local
        self.tokens = list(self._tokens(text))
        self.next = 0
        self.values = 0

    def _tokens(self, text: str) -> list[_Token]:
        found, at = [], 0
        end = len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                self._refuse(_Token("", text[at : at + 20], at))
            kind = str(match.lastgroup)
            word = match[kind]
            if kind == "name" and word.lower() in _WORDS:
                kind, word = "word", word.lower()
            found.append(_Token(kind, word, match.start(match.lastgroup or 0)))
            at = match.end()
        return [*found, _Token("end", "", end)]

    def run(self) -> Predicate:
        made = self._any(0)
        if self._here.kind != "end":
            self._refuse(self._here)
        return made

    # -- one method for each height of the language -----------------------------------------------

    def _any(self, depth: int) -> Predicate:
        parts = [self._all(depth)]
        while self._takes("word", "or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self, depth: int) -> Predicate:
        parts = [self._one(depth)]
        while self._takes("word", "and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> Predicate:
        if depth > MOST_DEPTH:
            self._fault(self._here, "out.filter_deep", most=MOST_DEPTH)
        if self._takes("word", "not"):
            return Not(self._one(depth + 1))
        if self._takes("sign", "("):
            inner = self._any(depth + 1)
            self._must("sign", ")")
            return inner
        return self._condition()

    def _condition(self) -> Predicate:
        name = self._take()
        if name.kind != "name":
            self._refuse(name)
        kind = self.columns.get(name.text)
        if kind is None:
            self._fault(name, "out.filter_column", name=name.text, known=", ".join(self.columns))
        if self._takes("word", "is"):
            negated = self._takes("word", "not")
            self._must("word", "null")
            found: Predicate = IsNull(name.text)
            return Not(found) if negated else found
        negated = self._takes("word", "not")
        if self._takes("word", "in"):
            found = In(name.text, tuple(self._list(kind)))
        elif self._takes("word", "between"):
            low = self._value(kind)
            self._must("word", "and")
            found = And(
                (Compare(name.text, ">=", low), Compare(name.text, "<=", self._value(kind)))
            )
        else:
            sign = self._take()
            if negated or sign.text not in _COMPARISONS:
                self._refuse(sign)
            found = Compare(name.text, _COMPARISONS[sign.text], self._value(kind))
        return Not(found) if negated else found

    def _list(self, kind: ColumnType) -> list[Constant]:
        self._must("sign", "(")
        values = [self._value(kind)]
        while self._takes("sign", ","):
            values.append(self._value(kind))
        self._must("sign", ")")
        return values

    def _value(self, kind: ColumnType) -> Constant:
        token = self._take()
        self.values += 1
        if self.values > MOST_VALUES:
            self._fault(token, "out.filter_values", most=MOST_VALUES)
        text = token.text
        if token.kind == "text":
            mark = text[0]
            text = text[1:-1].replace(mark * 2, mark)
        elif token.kind not in ("number", "time") and text not in ("true", "false"):
            self._refuse(token)
        elif kind == "text":
            self._fault(token, "out.filter_quote", text=text)
        value = self._constant(kind, text)
        if value is None:
            self._fault(token, f"out.filter_no_{kind}", text=text[:100])
        return value

    def _constant(self, kind: ColumnType, text: str) -> Constant:
        """A value of a kind of column; None where the text says none."""
        try:
            if kind == "text":
                text.encode()  # a lone surrogate can stand in no column
                return None if "\0" in text else text
            if kind == "int":
                return int(text) if re.fullmatch(r"[+-]?\d{1,30}", text, re.ASCII) else None
            if kind == "number":
                number = float(text)  # which takes 1_000 for a number too
                return number if math.isfinite(number) and "_" not in text else None
            if kind == "bool":
                return {"true": True, "false": False}.get(text.lower())
            if kind == "date":
                return date.fromisoformat(text)
            day_only = re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII)
            return parse_instant(f"{text}T00:00" if day_only else text, self.local)
        except (ValueError, Invalid):
            return None

    # -- tokens -----------------------------------------------------------------------------------

    @property
    def _here(self) -> _Token:
        return self.tokens[self.next]

    def _take(self) -> _Token:
        token = self._here
        if token.kind == "end":
            self._refuse(token)
        self.next += 1
        return token

    def _takes(self, kind: str, text: str) -> bool:
        if (self._here.kind, self._here.text) != (kind, text):
            return False
        self.next += 1
        return True

    def _must(self, kind: str, text: str) -> None:
        if not self._takes(kind, text):
            self._refuse(self._here)

    def _refuse(self, token: _Token) -> NoReturn:
        if token.kind == "end":
            self._fault(token, "out.filter_ends")
        self._fault(token, "out.filter_here", text=token.text)

    def _fault(self, token: _Token, key: str, **params: object) -> NoReturn:
        where = f"filter:{token.at + 1}"
        raise Invalid("out.filter_invalid", faults=[Fault(where, key, dict(params))])


def written(predicate: Predicate) -> str:
    """A filter that says the predicate; of what `parse` gives, the inverse."""
    match predicate:
        case Not(part):
            return f"not ({written(part)})"
        case And(parts):
            return " and ".join(f"({written(part)})" for part in parts)
        case Or(parts):
            return " or ".join(f"({written(part)})" for part in parts)
        case IsNull(column):
            return f"{column} is null"
        case Compare(column, op, value):
            return f"{column} {op} {_literal(value)}"
        case In(column, values):
            return f"{column} in ({', '.join(_literal(value) for value in values)})"
        case _:
            raise ValueError(f"no filter says {predicate!r}")


def _literal(value: Constant) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = value if isinstance(value, str) else cast(date, value).isoformat()
    return "'" + text.replace("'", "''") + "'"
