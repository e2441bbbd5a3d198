"""A load's findings in words, the same on the screen and at the command line."""

from __future__ import annotations

from typing import Any

from dothi.kernel.i18n import number, t

MOST_NAMED = 5


def title(finding: dict[str, Any], lang: str) -> str:
    """What was found."""
    if finding["kind"] == "check":
        return finding["title"][lang]
    if finding["kind"] == "conflict" and finding.get("by") == "key":
        return t("lake.finding_key_conflict", lang)
    return t(f"lake.finding_{finding['kind']}", lang)


def note(finding: dict[str, Any], lang: str) -> str:
    """What is to be said about it, "" for nothing."""
    kind = finding["kind"]
    if kind == "outside":
        if finding["marked_valid"] == finding["count"]:
            return t("lake.outside_kept", lang)
        return t("lake.outside_note", lang, count=finding["marked_valid"])
    if kind == "check":
        rows = ", ".join(str(row) for row in finding["rows"][:MOST_NAMED])
        more = " …" if finding["count"] > MOST_NAMED else ""
        return t("lake.check_note", lang, rows=rows + more)
    if kind in ("empty", "newlines"):
        titles = finding.get("titles", {})
        named = {
            (titles.get(name) or {}).get(lang, name): count
            for name, count in finding["columns"].items()
        }
        return _named(named, lang)
    if kind == "apart":
        return _named(finding["levels"], lang)
    if kind == "replaced":
        return t("lake.replaced_note", lang, of=finding["of"], load=finding["load"])
    if kind in ("absent_grid", "absent_within"):
        return t("lake.grid_note", lang, of=finding["of"], things=finding["things"])
    return ""


def _named(counts: dict[str, int], lang: str) -> str:
    """The names with the largest counts."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{name}: {number(count, lang)}" for name, count in ordered[:MOST_NAMED])
    return text + (" …" if len(ordered) > MOST_NAMED else "")


def drift_lines(report: dict[str, Any], lang: str) -> list[str]:
    """How the load differs from the one before it; [] for the first of its kind."""
    moved = report.get("drift")
    if not moved:
        return []
    rows, missing = moved["rows"], moved["missing"]
    lines = [
        t("lake.drift_rows", lang, load=moved["load"], before=rows[0], now=rows[1]),
        t(
            "lake.drift_missing", lang,
            before=number(100 * missing[0], lang, 1), now=number(100 * missing[1], lang, 1),
        ),
    ]  # fmt: skip
    if means := moved.get("means"):
        moves = _moves(means, lang, 2)
        lines.append(t("lake.drift_means", lang, count=len(means), moves=moves))
    if counts := moved.get("distinct"):
        lines.append(t("lake.drift_distinct", lang, moves=_moves(counts, lang, 0)))
    return lines


def _moves(moves: list[dict[str, Any]], lang: str, digits: int) -> str:
    told = [
        f"{m['name']}: {number(m['before'], lang, digits)} → {number(m['now'], lang, digits)}"
        for m in moves[:MOST_NAMED]
    ]
    return "; ".join(told) + (" …" if len(moves) > MOST_NAMED else "")
