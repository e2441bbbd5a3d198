"""A dataset's workbook: an XLSX file to fill in, which the reader of the same name reads back.

Its sheet has the title, what the columns mean, what they ask for, and in row 4 the columns' names;
everything below is data. What a cell may hold is checked while it is typed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from dothi.kernel.i18n import number, t
from dothi.kernel.zone import VN
from dothi.lake.columns import Column, Time
from dothi.lake.contract import Contract
from dothi.lake.reader import HEADER_ROW, SHEET
from dothi.lake.registry import Thing

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS = 10_000
"""Rows in which cells are checked while they are typed."""
MOST_LISTED = 5_000
"""Known keys offered to choose from."""
_MOST_MESSAGE, _MOST_LIST = 255, 255


@dataclass(frozen=True)
class _Head:
    """A column of the sheet. `known`: values to choose from; other ones may be added unless
    `closed`."""

    name: str
    title: str
    kind: str
    unit: str
    rule: str
    low: float | None = None
    high: float | None = None
    known: tuple[str, ...] = ()
    closed: bool = False


def workbook(
    contract: Contract,
    things: Iterable[Thing],
    lang: str,
    *,
    rows: Sequence[Mapping[str, Any]] = (),
    known: Mapping[str, tuple[str, ...]] | None = None,
    titles: Mapping[str, str] | None = None,
) -> bytes:
    """The workbook's content. Keys of the `things` are offered to choose from; `rows` are filled in
    already, by the columns' names. `known`: the only values of columns; `titles`: what columns are
    called that the contract does not name."""
    import xlsxwriter

    heads = (
        _series(contract, things, lang) if contract.kind == "series" else _records(contract, lang)
    )
    heads = [
        replace(
            head, title=(titles or {}).get(head.name, head.title),
            **({"known": known[head.name], "closed": True} if known and head.name in known else {}),
        )
        for head in heads
    ]  # fmt: skip
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet(SHEET)
        guide = book.add_worksheet(t("loads.workbook_guide", lang))
        lists = _Lists(book, t("loads.workbook_known", lang))
        forms = {
            "text": book.add_format({"num_format": "@"}),
            "date": book.add_format({"num_format": "dd/mm/yyyy"}),
            "instant": book.add_format({"num_format": "dd/mm/yyyy hh:mm"}),
            "number": book.add_format({"num_format": "General"}),
        }
        strong = book.add_format({"bold": True, "font_size": 13})
        head = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        small = book.add_format({"font_color": "#5f6b6d", "text_wrap": True, "valign": "top"})
        code = book.add_format({"font_color": "#5f6b6d", "bottom": 1})
        sheet.write_string(0, 0, contract.title[lang], strong)
        for place, column in enumerate(heads):
            form = forms.get(column.kind, forms["number"])
            sheet.set_column(place, place, max(14, min(32, len(column.title) + 2)), form)
            title = f"{column.title} ({column.unit})" if column.unit else column.title
            sheet.write_string(1, place, title, head)
            sheet.write_string(2, place, column.rule, small)
            sheet.write_string(HEADER_ROW - 1, place, column.name, code)
            if asked := _validation(column, lists):
                sheet.data_validation(HEADER_ROW, place, HEADER_ROW + MOST_ROWS, place, asked)
            for line, row in enumerate(rows, HEADER_ROW):
                _fill(sheet, line, place, column, row.get(column.name), form, lang)
        sheet.freeze_panes(HEADER_ROW, 0)
        _guide(guide, contract, heads, lang, strong, head)
        lists.finish()
    return out.getvalue()


def _fill(
    sheet: Any, line: int, place: int, column: _Head, value: Any, form: Any, lang: str
) -> None:
    """A cell as a person would type it; a text stays one, whatever it begins with."""
    if value is None:
        return
    if isinstance(value, bool):
        value = t("common.yes" if value else "common.no", lang).lower()
    if isinstance(value, str) and column.kind in ("date", "instant"):
        value = datetime.fromisoformat(value)
        value = value.astimezone(VN).replace(tzinfo=None) if value.tzinfo else value
    if column.kind == "year" and isinstance(value, date):
        value = value.year
    if isinstance(value, date):
        sheet.write_datetime(line, place, value, form)
    elif isinstance(value, int | float):
        sheet.write_number(line, place, value)
    else:
        sheet.write_string(line, place, str(value))


def _series(contract: Contract, things: Iterable[Thing], lang: str) -> list[_Head]:
    assert contract.time is not None
    found = list(things)
    required = t("loads.rule_required", lang)
    heads = [
        _Head(
            column.name, (column.title or {}).get(lang, column.name), "text", "",
            f"{required}; {t('loads.workbook_key', lang)}",
            known=tuple(sorted({thing.key[i] for thing in found})[:MOST_LISTED]),
        )
        for i, column in enumerate(contract.key)
    ]  # fmt: skip
    time = contract.time
    heads.append(
        _Head(
            "time" if time.parts else time.column, t("loads.workbook_time", lang), _time_kind(time),
            "", f"{required}; {_time_rule(time, lang)}",
        )
    )  # fmt: skip
    for one in contract.parameters:
        rule = _range(one.low, one.high, lang)
        unit = "" if one.unit == "1" else one.unit
        heads.append(_Head(one.name, one.title[lang], "number", unit, rule, one.low, one.high))
    return heads


def _time_kind(time: Time) -> str:
    if time.months % 12 == 0 and time.months:
        return "year"
    return "date" if time.months or (time.rhythm and time.rhythm.days) else "instant"


def _time_rule(time: Time, lang: str) -> str:
    kind = "month" if time.months % 12 else _time_kind(time)
    return t(f"loads.rule_{kind}", lang)


def _records(contract: Contract, lang: str) -> list[_Head]:
    keys = {c.name for c in contract.key}
    return [
        _Head(
            c.name, (c.title or {}).get(lang, c.name), c.type, c.unit or "",
            _rule(c, lang, required=c.required or c.name in keys), c.low, c.high,
            known=_words(c, lang), closed=bool(c.choices) or c.type == "boolean",
        )
        for c in contract.columns
    ]  # fmt: skip


def _words(column: Column, lang: str) -> tuple[str, ...]:
    if column.type == "boolean":
        return (t("common.yes", lang).lower(), t("common.no", lang).lower())
    return column.choices


def _rule(column: Column, lang: str, *, required: bool) -> str:
    parts = [t("loads.rule_required", lang)] if required else []
    if column.type in ("date", "instant"):
        parts.append(t(f"loads.rule_{column.type}", lang))
    else:
        parts.append(t(f"loads.type_{column.type}", lang))
    if limits := _range(column.low, column.high, lang):
        parts.append(limits)
    if column.choices:
        parts.append(t("loads.rule_choices", lang, choices=", ".join(column.choices)))
    return "; ".join(parts)


def _range(low: float | None, high: float | None, lang: str) -> str:
    if low is not None and high is not None:
        return t("loads.rule_range", lang, low=number(low, lang), high=number(high, lang))
    if low is not None:
        return t("loads.rule_least", lang, low=number(low, lang))
    return t("loads.rule_most", lang, high=number(high, lang)) if high is not None else ""


def _validation(column: _Head, lists: _Lists) -> dict[str, Any] | None:
    """What the spreadsheet program checks while a cell is typed; None: anything goes."""
    told = {
        "input_title": column.title[:32], "input_message": column.rule[:_MOST_MESSAGE],
        "error_title": column.title[:32], "error_message": column.rule[:_MOST_MESSAGE],
        # Numbers beyond a series' range are taken in as suspect, and new keys make new things.
        "error_type": "stop" if column.closed else "warning",
    }  # fmt: skip
    if not column.rule:
        told = {"error_type": "warning"}
    if column.known:
        short = len(",".join(column.known)) <= _MOST_LIST and not any(
            "," in w for w in column.known
        )
        source = list(column.known) if short else lists.of(column.title, column.known)
        return told | {"validate": "list", "source": source}
    if column.kind in ("number", "integer"):
        return told | {
            "validate": "decimal" if column.kind == "number" else "integer",
            "criteria": "between",
            "minimum": -1e15 if column.low is None else column.low,
            "maximum": 1e15 if column.high is None else column.high,
        }
    return told | {"validate": "any"} if column.rule else None


class _Lists:
    """A sheet of values to choose from, made when there is a first list."""

    def __init__(self, book: Any, name: str) -> None:
        self._book = book
        self._name = name
        self._lists: list[tuple[str, tuple[str, ...]]] = []

    def of(self, title: str, words: tuple[str, ...]) -> str:
        """The place of a list's words, as a formula."""
        self._lists.append((title, words))
        column = len(self._lists) - 1
        from xlsxwriter.utility import xl_range_abs

        return f"='{self._name}'!{xl_range_abs(1, column, len(words), column)}"

    def finish(self) -> None:
        """Write the sheet."""
        if not self._lists:
            return
        sheet = self._book.add_worksheet(self._name)
        for column, (title, words) in enumerate(self._lists):
            sheet.set_column(column, column, 28)
            for row, word in enumerate((title, *words)):
                sheet.write_string(row, column, word)


def _guide(
    sheet: Any, contract: Contract, heads: list[_Head], lang: str, strong: Any, head: Any
) -> None:
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 3, 44)
    sheet.write_string(0, 0, contract.title[lang], strong)
    sheet.write_string(
        1, 0,
        t("loads.workbook_help", lang, first=HEADER_ROW + 1, header=HEADER_ROW, sheet=SHEET,
          name=contract.name),
    )  # fmt: skip
    for place, name in enumerate(("code", "title", "unit", "rule")):
        sheet.write_string(3, place, t(f"loads.workbook_{name}", lang), head)
    for row, one in enumerate(heads, 4):
        for place, text in enumerate((one.name, one.title, one.unit, one.rule)):
            sheet.write_string(row, place, text)
