"""The score of Decision 766 over a million dossiers, against the bare SELECT of the rows it reads.

`python -m bench.score766 [--runs 3] [--repeat 10]`. A hundred thousand invented dossiers of twelve months
(72 agencies, 288 units), each ten times under other numbers, stand in the lake as a bulk load leaves them.

Figure: all components, groups and totals of the province, every agency and every unit for the calendar
years, over all of these dossiers, computed as the worker does, through the lake's own view; nothing is
stored. `quarters` and `months` are the same for four quarters and for twelve months at once. Floor, in the
same lake, engine and run: one SELECT that reads the columns of the dossiers that the score reads and counts
the values of each by agency, unit, procedure and month of receipt; no rule, no petition, no procedure.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.home import fresh_home
from bench.measure import Cost, compared, in_turns, line, show
from dothi.indicators import scores
from dothi.indicators.scores import Scored
from dothi.indicators.scoring import Source, compute_into
from dothi.indicators.trial import fill
from dothi.kernel.period import Period
from dothi.lake.model import Batch, StagedRows
from dothi.lake.model import Source as Door
from dothi.lake.service import Lake
from dothi.packs.demo.services import Services

MADE = 100_000
PETITIONS = 50_000
AS_OF = datetime(2026, 10, 1, tzinfo=UTC)
TARGET_RATIO, TARGET_S = 3.0, 5.0
MONTHS = [f"{2025 + (9 + n) // 12}-{(9 + n) % 12 + 1:02d}" for n in range(12)]
"""October 2025 to September 2026."""
LENGTHS = {
    "years": ["2025", "2026"],
    "quarters": ["2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3"],
    "months": MONTHS,
}


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="766 over a million dossiers")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--repeat", type=int, default=10, help="how often each dossier is there")
    chosen = options.parse_args()
    show(measured(chosen.runs, chosen.repeat))


def measured(runs: int = 3, repeat: int = 10) -> dict[str, Any]:
    """The figures for each length of period; the years count."""
    with fresh_home() as (db, lake, folder):
        with db.transaction() as conn:
            one = scores.find(conn, "score766")
        _store(lake, one, folder, repeat)
        cases = {name: _measured(lake, one, codes, runs) for name, codes in LENGTHS.items()}
    whole = cases["years"]
    took = whole["figure_ms"] / 1000
    return {
        "lines": [
            line("766 over 1 M dossiers", took, "s", TARGET_S),
            line("766 against the bare SELECT", took, "s", TARGET_RATIO,
                 floor=whole["floor_ms"] / 1000, ratio=whole["ratio"]),
        ],
        "name": "score766", "rows": MADE * repeat, "runs": runs, **whole,
        "target": f"{TARGET_S} s/{TARGET_RATIO}",
        "met": took <= TARGET_S and whole["ratio"] <= TARGET_RATIO, "cases": cases,
    }  # fmt: skip


def _measured(lake: Lake, one: Scored, codes: list[str], runs: int) -> dict[str, Any]:
    periods = [Period.parse(code) for code in codes]
    counted = 0

    def figure() -> None:
        nonlocal counted
        with lake.view() as view:
            sources = {n: Source(d.contract, view.records(d)) for n, d in one.inputs.items()}
            compute_into(view.cursor, one.score, sources, periods, AS_OF, "figures")
            row = view.execute("SELECT count(*) FROM figures").fetchone()
            counted = row[0] if row else 0

    def floor() -> None:
        with lake.view() as view:
            read = ", ".join(f"count({column})" for column in one.score.inputs["dossiers"])
            view.execute(
                "SELECT ma_co_quan, ma_don_vi, ma_tthc, date_trunc('month', ngay_tiep_nhan), "
                f"count(*), {read} FROM {view.records(one.inputs['dossiers'])} GROUP BY 1, 2, 3, 4"
            ).fetchall()

    both: tuple[Cost, Cost] = in_turns(figure, floor, runs)
    return {"figures": counted, **compared(*both, TARGET_RATIO)}


def _store(lake: Lake, one: Scored, folder: Path, repeat: int) -> None:
    """Each dataset as one bulk load; a dossier stands there `repeat` times."""
    made = Services()
    rows = {
        "dossiers": made.dossiers(MADE), "petitions": made.petitions(PETITIONS),
        "procedures": made.procedures(), "procedure_decisions": made.decisions(),
        "reported_totals": made.totals(),
    }  # fmt: skip
    for name, some in rows.items():
        dataset = one.inputs[name]
        times = repeat if name == "dossiers" else 1
        path = folder / f"{name}.parquet"
        joined = " || '\x1f' || "
        key = [column.name for column in dataset.contract.key]
        shown = [f"{key[0]} || '.' || n AS {key[0]}" if c == key[0] and times > 1 else c
                 for c in (column.name for column in dataset.contract.columns)]  # fmt: skip
        with lake.view() as view:
            count = fill(view.cursor, dataset.contract, some, "made") * times
            view.execute(
                f"""COPY (SELECT {joined.join(key)} AS _key,
                        row_number() OVER ()::INTEGER AS _row_no, 0::SMALLINT AS _q, *
                    FROM (SELECT {", ".join(shown)} FROM made, range({times}) t(n))) TO '{path}'"""
            )
            view.execute("DROP TABLE made")
        lake.commit(Batch(dataset.id, StagedRows.of(path, count), Door("bench")))
        path.unlink()


if __name__ == "__main__":
    main()
