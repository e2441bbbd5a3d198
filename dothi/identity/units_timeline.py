"""What files say of units laid over what is stored: versions, links, outlines, shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from dothi.identity.units import BASES
from dothi.identity.units_gather import Facts, File, Said, decimal, same_name
from dothi.identity.units_records import ShareRecord
from dothi.identity.units_store import LinkKey, Shape, Share, Stored, StoredLink, Version, holds

ONE_DAY = timedelta(days=1)


def apply(said: Said, files: Sequence[File], stored: Stored) -> Stored:
    """All that should be stored once the files are in; what is wrong is added to `said.faults`."""
    after = stored.copy()
    named = _rows_of_links(said, files)
    touched = {code for _, old, new in named for code in (old, new)}
    touched |= {code for code, era in said.units if era == "old"}
    for era, lay in (("old", _lay_old), ("new", _lay_new)):
        for (code, which), facts in said.units.items():
            if which != era:
                continue
            if after.levels.setdefault(code, facts.level) != facts.level:
                said.fault(facts.where, "units.level_stored", code=code, level=after.levels[code])
                continue
            timeline = after.versions.setdefault(code, [])
            laid = after.versions[code] = lay(said, code, facts, timeline, code in touched)
            for one, following in pairwise(laid):
                if one.end is None or following.begin is None or one.end > following.begin:
                    said.fault(
                        facts.where, "units.dates_overlap", code=code,
                        begin=following.begin, end=one.end,
                    )  # fmt: skip
    _check_parents(said, after)
    _lay_links(said, named, after)
    _lay_shapes(said, files, after, touched)
    _lay_shares(said, files, after)
    return after


def overlaid(version: Version, facts: Version) -> Version:
    """The version with what the facts say instead."""
    told = facts.filled_from(version)
    return replace(told, begin=version.begin, end=version.end)


def _lay_old(
    said: Said, code: str, facts: Facts, timeline: list[Version], _touched: bool
) -> list[Version]:
    """Facts that hold until the day of the reform, or the earlier one that the row gives."""
    day = facts.end or said.day
    piece = next((v for v in timeline if holds(v, day - ONE_DAY)), None)
    if piece is None:
        before = [v.end for v in timeline if v.end and v.end <= day]
        begin = facts.begin or max(before, default=None)
        return _in_order([*timeline, replace(facts.version, begin=begin, end=day)])
    others = [v for v in timeline if v is not piece]
    changed = replace(overlaid(piece, facts.version), end=day)
    goes_on = (piece.end is None or piece.end > day) and (code, "new") in said.units
    return _in_order([*others, changed, *([replace(piece, begin=day)] if goes_on else [])])


def _lay_new(
    said: Said, _code: str, facts: Facts, timeline: list[Version], touched: bool
) -> list[Version]:
    """Facts that hold from the day of the reform on, or between the days the row itself gives."""
    day = facts.begin or said.day
    piece = next((v for v in timeline if holds(v, day)), None)
    if piece is None:
        later = [v.begin for v in timeline if v.begin and v.begin > day]
        made = replace(facts.version, begin=day, end=facts.end or min(later, default=None))
        return _in_order([*timeline, made])
    others = [v for v in timeline if v is not piece]
    changed = overlaid(piece, facts.version)
    if facts.end:
        changed = replace(changed, end=facts.end)
    if piece.begin == day:
        return _in_order([*others, changed])
    # A list that names an untouched unit again says nothing new by its basis alone.
    if not touched and replace(changed, legal_basis=piece.legal_basis) == piece:
        return timeline
    fresh = facts.version if touched else changed
    anew = replace(fresh, begin=day, end=changed.end)
    return _in_order([*others, replace(piece, end=day), anew])


def _in_order(timeline: list[Version]) -> list[Version]:
    return sorted(timeline, key=lambda v: v.begin or date.min)


def _check_parents(said: Said, after: Stored) -> None:
    for (code, era), facts in said.units.items():
        parent = facts.version.parent
        if parent is None:
            continue
        day = (facts.end or said.day) - ONE_DAY if era == "old" else facts.begin or said.day
        if parent == code or after.on(parent, day) is None:
            said.fault(facts.where, "units.parent_unknown", code=code, parent=parent, day=day)


# -- links --------------------------------------------------------------------------------------


def _rows_of_links(said: Said, files: Sequence[File]) -> dict[LinkKey, StoredLink]:
    """The files' links with mended codes; their kinds come later."""
    found: dict[LinkKey, StoredLink] = {}
    for name, records in files:
        for row in records.links:
            key = (said.day, row.old, said.mended.get(row.new, row.new))
            if key in found:
                said.fault(f"{name}:{row.row}", "units.link_twice", old=row.old, new=row.new)
            basis = row.legal_basis or said.legal_basis
            found[key] = StoredLink("", False, basis, name, row.row)
    return found


def _lay_links(said: Said, named: dict[LinkKey, StoredLink], after: Stored) -> None:
    day, eve = said.day, said.day - ONE_DAY
    for (_, old, new), link in named.items():
        where = f"{link.source}:{link.row}"
        for code, on in ((old, eve), (new, day)):
            if after.on(code, on) is None:
                said.fault(where, "units.link_unknown", code=code, day=on)
    if said.faults:
        return
    told = {old for _, old, _ in named}
    kept = {k: v for k, v in after.links.items() if k[0] != day or not (v.derived or k[1] in told)}
    of_day = {k: v for k, v in (kept | named).items() if k[0] == day and not v.derived}
    provinces = {
        (day, one, other): StoredLink("", True, None)
        for _, old, new in of_day
        if (one := _province(after, old, eve)) and (other := _province(after, new, day))
    }
    for links in (of_day, provinces):
        out, into = Counter(k[1] for k in links), Counter(k[2] for k in links)
        for key, link in links.items():
            kind = _kind(after, key, out[key[1]], into[key[2]])
            kept[key] = replace(link, kind=kind)
    after.links = kept
    if named:
        _note_links(said, of_day, after)


def _kind(after: Stored, key: LinkKey, ways_out: int, ways_in: int) -> str:
    day, old, new = key
    if ways_out > 1:
        return "split"
    if ways_in > 1:
        return "merged"
    before, now = after.on(old, day - ONE_DAY), after.on(new, day)
    assert before is not None and now is not None
    same = before.kind == now.kind and same_name(before.name, now.name)
    return "unchanged" if same else "renamed"


def _province(after: Stored, code: str, day: date) -> str | None:
    """The province that a commune or district lies in."""
    seen: set[str] = set()
    while code not in seen and after.levels.get(code) != "province":
        seen.add(code)
        version = after.on(code, day)
        if version is None or version.parent is None:
            return None
        code = version.parent
    return code


def _note_links(said: Said, links: dict[LinkKey, StoredLink], after: Stored) -> None:
    day, eve = said.day, said.day - ONE_DAY
    targets: dict[str, list[str]] = defaultdict(list)
    for _, old, new in links:
        targets[old].append(new)
    for old, found in sorted(targets.items()):
        if len(found) > 1:
            said.note("split", f"{path_of(after, old, eve)} → {', '.join(sorted(found))}")
        if after.levels[old] == "district":
            said.note("without_commune", f"{path_of(after, old, eve)} → {', '.join(found)}")
    reached = {new for _, _, new in links}
    for (code, era), facts in sorted(said.units.items()):
        if facts.level != "commune":
            continue
        if era == "old" and code not in targets:
            said.note("without_successor", path_of(after, code, eve))
        if era == "new" and code not in reached:
            said.note("without_predecessor", path_of(after, code, day))


def path_of(after: Stored, code: str, day: date) -> str:
    """Codes from the province down, and the name: "01/001/00004 Phường Trúc Bạch"."""
    version = after.on(code, day)
    codes, name = [code], version.name if version else ""
    while version and version.parent and version.parent not in codes:
        codes.append(version.parent)
        version = after.on(version.parent, day)
    return f"{'/'.join(reversed(codes))} {name}"


# -- outlines -----------------------------------------------------------------------------------


def _lay_shapes(said: Said, files: Sequence[File], after: Stored, touched: set[str]) -> None:
    day = said.day
    same_place = {k[1] for k, v in after.links.items()
                  if k[0] == day and k[1] == k[2] and v.kind in ("unchanged", "renamed")}  # fmt: skip
    for code in touched - same_place:
        after.shapes[code] = [
            replace(s, end=day) if s.begin != day and holds(s, day) else s
            for s in after.shapes.get(code, [])
        ]
    for name, records in files:
        for record in records.shapes:
            old = record.era == "old"
            begin, end = (None, day) if old else (day, None)
            code = record.code if old else said.mended.get(record.code, record.code)
            if after.on(code, day - ONE_DAY if old else day) is None:
                where = f"{name}:{record.row}"
                said.fault(where, "units.outline_of_nobody", code=code[:60])
                continue
            texts = (record.whole, record.near, record.middle, record.far)
            shape = Shape(record.digest, begin, end, texts, record.extent, name)
            after.shapes[code] = _cut_out(after.shapes.get(code, []), shape)


def _cut_out(shapes: list[Shape], made: Shape) -> list[Shape]:
    """The outlines with room made for a new one."""
    kept: list[Shape] = []
    for shape in shapes:
        if (shape.digest, shape.begin, shape.end) == (made.digest, made.begin, made.end):
            return shapes
        if made.begin and (shape.begin is None or shape.begin < made.begin):
            end = min(shape.end or made.begin, made.begin)
            kept.append(replace(shape, end=end))
        if made.end and (shape.end is None or shape.end > made.end):
            begin = max(shape.begin or made.end, made.end)
            kept.append(replace(shape, begin=begin))
    return [*kept, made]


# -- shares -------------------------------------------------------------------------------------


def _lay_shares(said: Said, files: Sequence[File], after: Stored) -> None:
    ways: dict[str, set[str]] = defaultdict(set)
    for day, old, new in after.links:
        if day == said.day:
            ways[old].add(new)
    sets: dict[tuple[str, str], dict[str, tuple[str, ShareRecord]]] = defaultdict(dict)
    for name, records in files:
        for row in records.shares:
            where, new = f"{name}:{row.row}", said.mended.get(row.new, row.new)
            if row.basis not in BASES:
                said.fault(where, "units.bad_basis", value=row.basis[:60], bases=", ".join(BASES))
            elif new not in ways[row.old]:
                said.fault(where, "units.share_without_link", old=row.old, new=new, day=said.day)
            elif new in sets[row.old, row.basis]:
                said.fault(where, "units.share_twice", old=row.old, new=new)
            else:
                sets[row.old, row.basis][new] = (where, row)
    if said.faults:
        return
    for (old, basis), rows in sets.items():
        given = _checked_shares(said, old, ways[old], rows)
        after.shares = {
            k: v for k, v in after.shares.items() if (k[0], k[1], k[3]) != (said.day, old, basis)
        }
        after.shares |= {(said.day, old, new, basis): share for new, share in given.items()}
    after.shares = {k: v for k, v in after.shares.items() if k[:3] in after.links}


def _checked_shares(
    said: Said, old: str, ways: set[str], rows: dict[str, tuple[str, ShareRecord]]
) -> dict[str, Share]:
    """The shares of one unit: for each of its successors, all as shares of 1 or all as amounts."""
    last = next(reversed(rows.values()))[0]
    given: dict[str, Share] = {}
    for new, (where, row) in rows.items():
        share, amount = decimal(row.share), decimal(row.amount)
        if (share is None) == (amount is None) or not (share is None or 0 <= share <= 1) or (
            amount is not None and amount < 0
        ):  # fmt: skip
            said.fault(where, "units.bad_share", share=row.share or "", amount=row.amount or "")
            return {}
        if not row.source.strip() or not row.given_by.strip():
            said.fault(where, "units.share_without_source", old=old, new=new)
            return {}
        given[new] = Share(share, amount, row.source.strip(), row.given_by.strip())
    if missing := ways - set(rows):
        said.fault(last, "units.shares_incomplete", old=old, missing=", ".join(sorted(missing)))
    shares = [s.share for s in given.values() if s.share is not None]
    if shares and len(shares) < len(given):
        said.fault(last, "units.shares_mixed", old=old)
    elif shares and sum(shares) != 1:
        said.fault(last, "units.shares_not_one", old=old, total=str(sum(shares)))
    elif not shares and not sum((s.amount or Decimal(0) for s in given.values()), Decimal(0)):
        said.fault(last, "units.amounts_nothing", old=old)
    return given
