"""The score of Decision 766 agrees with a second implementation, written row by row from the facts.

Compared is every component, group and total of the province, of every agency and of every unit. Then
each rule of the second one is changed, one at a time, and the two must differ: so no rule stands
untested.
"""

from __future__ import annotations

import csv
import inspect
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dothi.indicators import score as scores
from dothi.indicators.scoring import Figure, Source, compute
from dothi.indicators.trial import fill
from dothi.kernel.period import Period
from dothi.kernel.time import zone
from dothi.packs.load import load, shipped
from tests.unit.packs import score766 as rows766
from tests.unit.packs.mutants766 import MUTANTS, PLUMBING, Mutant
from tests.unit.packs.records766 import Records, records

PACK = load(shipped() / "public-services")
(SCORE,) = scores.load(PACK)
LATER = datetime(2026, 11, 1, tzinfo=zone(SCORE.zone))
BEHIND_THE_DRILL_DOWN = {"1.4a", "3.5c", "5.3a", "5.4a", "5.4b"}
"""Counts that are no part of the score."""

Key = tuple[str, str, str]
FIELDS = ("numerator", "denominator", "ratio", "points", "most")
_NOTHING = "\\N"


class Product:
    """The product's score over records that it has been given."""

    def __init__(self, data: Records, folder: Path) -> None:
        self.engine = duckdb.connect()
        self.engine.execute("SET TimeZone = 'UTC'")
        self.engine.execute("SET threads = 1")
        self.sources = {}
        for contract in (c for c in PACK.contracts if c.kind == "records"):
            fill(self.engine, contract, (), contract.name)
            self._read(data[contract.name], contract.name, folder / f"{contract.name}.csv")
            self.sources[contract.name] = Source(contract, contract.name)

    def _read(self, rows: Sequence[Mapping[str, Any]], table: str, path: Path) -> None:
        names = list(rows[0])
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(names)
            for row in rows:
                out.writerow([_NOTHING if (v := row[n]) is None else v for n in names])
        self.engine.execute(
            f"INSERT INTO {table} BY NAME SELECT * FROM read_csv(?, header = true, "
            "all_varchar = true, nullstr = ?, quote = '\"', delim = ',')",
            [str(path), _NOTHING],
        )

    def figures(self, period: str, as_of: datetime = LATER) -> dict[Key, Figure]:
        asked = [Period.parse(period, zone(SCORE.zone))]
        found = compute(self.engine, SCORE, self.sources, asked, as_of)
        return {
            (f.agency, f.unit, f.component): f
            for f in found
            if f.component not in BEHIND_THE_DRILL_DOWN
        }


def differences(
    product: Mapping[Key, Figure], rows: Mapping[Key, rows766.Figure]
) -> Iterator[tuple[Key, Figure | None, rows766.Figure | None]]:
    """Figures that only one has, or in which a number differs."""
    for key in {*product, *rows}:
        theirs, ours = product.get(key), rows.get(key)
        if (
            theirs is None
            or ours is None
            or not all(_same(getattr(theirs, name), getattr(ours, name)) for name in FIELDS)
        ):
            yield key, theirs, ours


def _same(theirs: float | None, ours: Fraction | None) -> bool:
    if theirs is None or ours is None:
        return theirs is None and ours is None
    return abs(theirs - float(ours)) <= 1e-9 * max(1.0, abs(theirs))


def test_both_agree_on_every_component_of_100_000_dossiers(tmp_path: Path) -> None:
    data = records(766, 100_000)
    product = Product(data, tmp_path)
    for period, count in (("2026-Q1", 30_000), ("2026-02", 30_000)):
        found, rows = product.figures(period), rows766.score(data, period, LATER)
        assert len(found) > count
        assert {component for _, _, component in found} == {
            *rows766.CEILINGS, *rows766.GROUPS, "total",
        }  # fmt: skip
        assert list(differences(found, rows))[:5] == []


@pytest.mark.parametrize(
    ("seed", "as_of"),
    [
        (1, datetime(2026, 2, 14, 9, 30, tzinfo=zone(SCORE.zone))),
        (2, datetime(2026, 2, 23, tzinfo=zone(SCORE.zone))),
        (3, datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=zone(SCORE.zone))),
        (4, LATER),
    ],
)
def test_both_agree_while_a_period_runs(seed: int, as_of: datetime, tmp_path: Path) -> None:
    data = records(seed, 2_000)
    product = Product(data, tmp_path)
    for period in ("2026-01", "2026-02", "2026-Q1", "2026"):
        rows = rows766.score(data, period, as_of)
        assert list(differences(product.figures(period, as_of), rows))[:5] == []


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> tuple[Records, dict[str, dict[Key, Figure]]]:
    """Fewer records, all on edges, and what the product says of two periods."""
    data = records(2026, 1_500, 1_000)
    product = Product(data, tmp_path_factory.mktemp("edges"))
    return data, {period: product.figures(period) for period in ("2026-Q1", "2026-01")}


def test_every_rule_can_be_changed() -> None:
    rules = {
        name
        for name, value in vars(rows766).items()
        if inspect.isfunction(inspect.unwrap(value)) and value.__module__ == rows766.__name__
    }
    assert {mutant.name for mutant in MUTANTS} >= rules - PLUMBING
    assert rules >= PLUMBING


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.name}: {m.says}")
def test_a_rule_changed_makes_them_differ(
    mutant: Mutant, edges: tuple[Records, dict[str, dict[Key, Figure]]]
) -> None:
    data, product = edges
    with mutant.living():
        assert any(
            any(differences(figures, rows766.score(data, period, LATER)))
            for period, figures in product.items()
        )


def test_unchanged_they_agree_on_the_same_records(
    edges: tuple[Records, dict[str, dict[Key, Figure]]],
) -> None:
    data, product = edges
    for period, figures in product.items():
        assert list(differences(figures, rows766.score(data, period, LATER)))[:5] == []
