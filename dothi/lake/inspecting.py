"""`dothi inspect FILE`: what an unknown file seems to be, and the contract that would read it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from dothi import jail
from dothi.kernel.errors import Fault, Invalid, TooLarge
from dothi.kernel.i18n import LANGS, t, written
from dothi.kernel.time import zone
from dothi.lake.columns import NAME
from dothi.lake.reading.limits import MIB, MOST_UNPACKED, spans
from dothi.store.settings import Settings, language

CHOICES = ("member", "sheet", "layer", "path", "header_row", "delimiter", "encoding", "font")
"""What a person may say of the file; the rest is told from it."""
_NOTES = ("format", "packed", "member", "sheet", "layer", "path", "encoding", "font", "delimiter",
          "header_row", "crs")  # fmt: skip


def inspect(
    path: Path, how: dict[str, Any], name: str | None = None, **proposal: str | None
) -> dict[str, Any]:
    """What the file seems to be (`reading.describe.describe`), found out in the jail.

    `how` as for `reading.table.open_table`; `proposal` is what is known of the contract already, as
    for `reading.propose.propose`: owner, named, zone. Raises Invalid with the reason when the file is
    refused, TooLarge, and JailError when reading it needs more than it may.
    """
    shown = name or path.name
    job, limits = prepared(path, how, shown, **proposal)
    with jail.run(job, limits) as result:
        answer: dict[str, Any] = result.value
    if fault := answer.get("fault"):
        params = {k: v for k, v in fault.items() if k != "key"}
        raise Invalid("reading.refused", faults=[Fault(shown, fault["key"], params)], name=shown)
    return answer["description"]


def prepared(
    path: Path, how: dict[str, Any], name: str, **proposal: str | None
) -> tuple[jail.Job, jail.Limits]:
    """The job that looks at the file, and how much it may use. Raises TooLarge."""
    size = path.stat().st_size
    if size > MOST_UNPACKED:
        raise TooLarge("lake.file_too_large", size=size, most=MOST_UNPACKED)
    much = spans(path)
    title = Path(name).name.split(".")[0][:80] or "file"
    args = {"how": how, "memory": "256MB", "name": title, "proposal": proposal}
    return (
        jail.Job("dothi.lake.reading.describe:main", args, {"file": path}),
        jail.Limits(
            address_space_bytes=2048 * MIB,
            cpu_s=20 + much // (8 * MIB),
            wall_s=30.0 + much / (4 * MIB),
            output_bytes=128 * MIB + 2 * much,
            threads=32,
        ),
    )


def arguments_inspect(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    parser.add_argument("file", metavar="FILE", help=t("reading.option_file", lang))
    parser.add_argument("--lang", choices=LANGS, help=t("reading.option_lang", lang))
    parser.add_argument("--owner", metavar="CODE", help=t("reading.option_owner", lang))
    parser.add_argument("--name", metavar="NAME", help=t("reading.option_name", lang))
    parser.add_argument("--zone", metavar="ZONE", help=t("reading.option_zone", lang))
    for name in CHOICES:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="N" if name == "header_row" else name[0].upper(),
            type=int if name == "header_row" else str,
            help=t(f"reading.option_{name}", lang),
        )


def run_inspect(args: argparse.Namespace, settings: Settings) -> int:
    """Print what the file seems to be as comments above the contract proposed for it; 1 with the
    reason when it is refused."""
    lang = args.lang or settings.lang
    path = Path(args.file)
    try:
        path.open("rb").close()
    except OSError as error:
        raise Invalid("lake.no_such_file", name=args.file, problem=error.strerror or "") from error
    how = {n: getattr(args, n) for n in CHOICES if getattr(args, n) is not None}
    if args.name is not None and not NAME.fullmatch(args.name):
        raise Invalid("lake.bad_name", name=args.name)
    if args.zone is not None:
        zone(args.zone)
    try:
        found = inspect(path, how, owner=args.owner, named=args.name, zone=args.zone)
    except Invalid as error:
        print(error.text(lang), file=sys.stderr)
        for fault in error.faults:
            print(fault.text(lang), file=sys.stderr)
        return 1
    for line in report(found, lang):
        print(f"# {line}".rstrip())
    print(contract_text(found, lang))
    return 0


def contract_text(found: dict[str, Any], lang: str) -> str:
    """The proposed contract as YAML; where a person must choose the key, a comment above it says so."""
    text = yaml.safe_dump(found["contract"], sort_keys=False, allow_unicode=True, width=100)
    key = found["key"]
    if key is None or key["ground"] not in ("choose", "none"):
        return text
    told = "".join(f"# {line}\n" for line in about_key(key, lang))
    return text.replace("\nkey:", f"\n{told}key:", 1)


def report(found: dict[str, Any], lang: str) -> list[str]:
    """What was found, in words, line by line."""
    notes = found["notes"]
    lines = [t("reading.said_form", lang, what=about_form(notes, lang))]
    lines += [t("reading.said_above", lang, text=one_line(x)) for x in notes.get("above", ())]
    rows = "reading.said_rows" if found["whole"] else "reading.said_first_rows"
    count = len(found["columns"]) + found["more_columns"]
    lines.append(t(rows, lang, rows=found["looked_at"], columns=count))
    for column in found["columns"]:
        kind = t(f"reading.kind_{column['kind']}", lang)
        said = "; ".join([f"{one_line(column['name'])}: {kind}", *about_column(column, lang)])
        lines.append(f"  {said}")
    lines += about_table(found, lang)
    lines.append(t("reading.said_proposal", lang))
    return lines


def about_form(notes: dict[str, Any], lang: str) -> str:
    """How the file is written, and which table of it this is."""
    return ", ".join(
        t(
            f"reading.note_{name}",
            lang,
            what=one_line("tab" if notes[name] == "\t" else notes[name]),
        )
        for name in _NOTES
        if notes.get(name) not in (None, "")
    )


def about_table(found: dict[str, Any], lang: str) -> list[str]:
    """What the columns say together: years across, preliminary figures, subtotals,
    columns that the contract leaves out."""
    lines = []
    others = [n for n in found["notes"].get("sheets", ()) if n != found["notes"].get("sheet")]
    if others:
        lines.append(t("reading.said_sheets", lang, names=listed(others[:20])))
    if wide := found["wide"]:
        names = wide["names"]
        first, last = one_line(names[0]), one_line(names[-1])
        lines.append(t("reading.said_wide", lang, count=len(names), first=first, last=last))
        if wide["preliminary"]:
            named = listed(wide["preliminary"][:10])
            lines.append(t("reading.said_preliminary", lang, names=named))
    if levels := found["subtotals"]:
        named = [name for names in levels["levels"].values() for name in names]
        column, names = one_line(levels["column"]), listed(named[:8])
        lines.append(
            t("reading.said_subtotals", lang, column=column, count=len(named), names=names)
        )
    if found["ends"]:
        lines.append(t("reading.said_ends", lang, names=listed(found["ends"])))
    if not found["looked_at"]:
        lines.append(t("reading.said_no_rows", lang))
    elif key := found["key"]:
        lines += about_key(key, lang)
    if found["left_out"]:
        lines.append(t("reading.said_left_out", lang, names=listed(found["left_out"][:20])))
    return lines


def about_key(key: dict[str, Any], lang: str) -> list[str]:
    """On what ground these columns are proposed as key, and what a person has to choose."""
    lines = [t(f"reading.key_{key['ground']}", lang, names=listed(key["columns"][:20]))]
    if key["ground"] == "choose" and key["alone"]:
        lines.append(t("reading.key_alone", lang, names=listed(key["alone"])))
    if key["running"]:
        lines.append(t("reading.key_running", lang, names=listed(key["running"])))
    return lines


def about_column(column: dict[str, Any], lang: str) -> list[str]:
    """What was seen in a column beside what it holds."""
    said = []
    if column.get("form"):
        said.append(written(column["form"], lang))
    if column.get("wordy"):
        said.append(t("reading.said_wordy", lang))
    if column.get("decimal") == ",":
        said.append(t("reading.said_comma", lang))
    if column.get("thousands") in (".", ","):
        said.append(t("reading.said_thousands", lang, mark=column["thousands"]))
    if column["blank"]:
        said.append(t("reading.said_blank", lang, share=100 * column["blank"]))
    if column.get("missing"):
        words = " ".join(map(one_line, column["missing"]))
        said.append(t("reading.said_missing", lang, words=words))
    if column.get("strange"):
        words = " | ".join(map(one_line, column["strange"][:3]))
        said.append(t("reading.said_strange", lang, words=words))
    return said


def listed(texts: Iterable[Any]) -> str:
    """Texts from the file, one after the other."""
    return ", ".join(map(one_line, texts))


def one_line(text: Any) -> str:
    """A text from the file on one line and without control characters, so that it stays a comment
    and cannot steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))[:120]
