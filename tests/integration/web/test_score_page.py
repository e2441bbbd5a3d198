"""The page of the public-services score: what it shows of the stored figures, and to whom."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import re
from datetime import date, datetime
from typing import Any

import pytest

from dothi.indicators import scores
from dothi.indicators.scores import Scorer
from dothi.indicators.scoring import Correction, Figure
from dothi.kernel.i18n import number
from dothi.kernel.period import Period
from dothi.kernel.time import VN
from dothi.lake import registry
from dothi.lake.model import Source
from dothi.lake.rows import batch_of
from dothi.packs.demo.services import Services
from tests.contract.world import World

AS_OF = datetime(2026, 4, 10, 9, tzinfo=VN)
MARCH = Period.parse("2026-03")
PAGE = "/services/public-services"
DEPARTMENT = "so-xd"


@pytest.fixture(scope="module", autouse=True)
def stored(town: World) -> dict[tuple[str, str, str], Figure]:
    """Three months of three agencies, scored; figures of March by agency, unit and component."""
    made = dataclasses.replace(
        Services(seed=5, agencies=(DEPARTMENT, "so-ct", "ubnd-01"), procedures_each=6),
        first=date(2026, 1, 1), last=date(2026, 4, 9),
    )  # fmt: skip
    lonely = {
        "ma_ho_so": "ALONE", "ma_tthc": "9.1", "ma_co_quan": "ubnd-02",
        "ngay_tiep_nhan": datetime(2026, 3, 2, 9, tzinfo=VN),
        "ngay_hen_tra": datetime(2026, 5, 4, 9, tzinfo=VN),
    }  # fmt: skip
    given: dict[str, list[dict[str, Any]]] = {
        "dossiers": [*made.dossiers(300), lonely], "petitions": list(made.petitions(60)),
        "procedures": list(made.procedures()), "procedure_decisions": list(made.decisions()),
        "reported_totals": list(made.totals()),
    }  # fmt: skip
    for name, rows in given.items():
        with town.house.db.transaction() as conn:
            dataset = registry.find(conn, name)
        said = [
            {k: v.isoformat() if isinstance(v, date) else v for k, v in row.items()} for row in rows
        ]
        town.house.lake.commit(batch_of(town.house.lake, dataset, said, Source("http")))
    assert Scorer(town.house.db, town.house.lake, now=lambda: AS_OF, pause=False).advance() == 1
    with town.house.db.transaction() as conn:
        one = scores.find(conn, "score766")
    with town.house.lake.view() as view:
        found = scores.stored(view, one, "period = ?", [MARCH.code])
    return {(f.agency, f.unit, f.component): f for f in found}


def text_of(town: World, who: str, **query: str) -> str:
    """What the page says, without its tags."""
    with town.client(who) as client:
        page = client.get(PAGE, params=query)
    assert page.status_code == 200, page.text
    main = page.text[page.text.index("<main") : page.text.index("</main>")]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", main)))


def corrections(town: World) -> list[Correction]:
    with town.house.db.transaction() as conn:
        one = scores.find(conn, "score766")
    with town.house.lake.view() as view:
        return scores.faults(view, one, MARCH, DEPARTMENT)


def test_everybody_sees_the_total_its_groups_and_components(
    town: World, stored: dict[tuple[str, str, str], Figure]
) -> None:
    said = text_of(town, "anonymous", period="2026-03")
    total = stored[("*", "*", "total")]
    assert f"Score, Index 766 {number(total.points, 'en', 2)} out of 100 points" in said
    for name in ("1", "2", "3a", "3b", "4", "5"):
        group = stored[("*", "*", f"group {name}")]
        assert f"{number(group.points, 'en', 2)} / {number(group.most, 'en')}" in said
    late = stored[("*", "*", "2.1")]
    counts = f"{number(late.numerator, 'en')} / {number(late.denominator, 'en')}"
    assert f"{counts} {number(late.ratio, 'en', 2)} % — {number(late.points, 'en', 2)} / 20" in said
    assert "As of 09:00, 10 Apr 2026" in said


def test_what_is_to_be_verified_says_so_beside_the_component(town: World) -> None:
    said = text_of(town, "anonymous", period="2026-03")
    with town.house.db.transaction() as conn:
        components = scores.find(conn, "score766").score.components.values()
    marked = [c for c in components if c.verify]
    assert len(marked) >= 8
    for one in marked:
        assert one.verify is not None
        assert f"To be verified: {one.verify['en']}" in said


def test_not_applicable_is_never_shown_as_zero(town: World) -> None:
    """One dossier in hand: 2.1 has points, time kept is out of 20, openness has no denominator."""
    said = text_of(town, "anonymous", period="2026-03", agency="ubnd-02")
    assert re.search(r"Time kept 20\.00 / 20", said)
    assert re.search(r"Openness No data", said)
    assert "0.00 / 18" not in said
    assert re.search(
        r"2\.2 Mean time \(one procedure\) — Not applicable "
        r"Nothing to count in the period — Tracked, no points", said
    )  # fmt: skip
    assert "do not count as 0" in said


def test_no_data_is_not_the_same_as_not_applicable(town: World) -> None:
    """Of an agency with one dossier: what is said of the province alone, what its dossiers do not
    hold, and what nobody sent; of a unit, what is not said of units."""
    lonely = text_of(town, "anonymous", period="2026-03", agency="ubnd-02")
    assert re.search(r"1\.2 [^—]*— Not applicable Of the whole province only", lonely)
    assert re.search(r"4\.1 [^—]*— Not applicable Nothing to count in the period", lonely)
    assert re.search(r"5\.2 .{0,120}— No data Feedback and petitions", lonely)
    assert re.search(r"3\.1 [^—]*— No data Administrative procedures", lonely)
    with town.client("admin") as client:
        page = client.get(PAGE, params={"period": "2026-03", "agency": DEPARTMENT}).text
        file = client.get(f"{PAGE}/download", params={"period": "2026-03", "agency": "ubnd-02"})
    unit = re.search(r"unit=([\w.-]+)", page)
    assert unit
    said = text_of(town, "anonymous", period="2026-03", agency=DEPARTMENT, unit=unit[1])
    assert re.search(r"3\.1 [^—]*— Not applicable Not of single units", said)
    told = {row[0]: row[-1] for row in csv.reader(io.StringIO(file.text.removeprefix("\ufeff")))}
    assert told["1.2"] == "Not applicable: Of the whole province only"
    assert told["3.1"] == "No data: Administrative procedures"


def test_a_share_times_a_factor_is_shown_with_both(
    town: World, stored: dict[tuple[str, str, str], Figure]
) -> None:
    online, synced = (stored[(DEPARTMENT, "*", name)] for name in ("3.3", "1.4"))
    assert online.numerator is not None and online.denominator
    share = 100 * online.numerator / online.denominator
    assert synced.ratio is not None
    assert online.ratio == pytest.approx(share * synced.ratio / 100)
    assert online.ratio != pytest.approx(share)
    share, factor, product = (number(x, "en", 2) for x in (share, synced.ratio, online.ratio))
    said = text_of(town, "anonymous", period="2026-03", agency=DEPARTMENT)
    assert f"{share} % × {factor} % (component 1.4) = {product} %" in said
    alone = text_of(town, "anonymous", period="2026-03", agency="ubnd-02")
    assert "without a factor: there is no figure of component 1.4" in alone


def test_agencies_and_units_stand_in_order(
    town: World, stored: dict[tuple[str, str, str], Figure]
) -> None:
    with town.client() as client:
        page = client.get(PAGE, params={"period": "2026-03"}).text
        units = client.get(PAGE, params={"period": "2026-03", "agency": DEPARTMENT}).text
    links = r'<th scope="row"><a href="([^"]+)"'
    listed = [re.search(r"agency=([\w-]+)", one) for one in re.findall(links, page)]
    shares = {a: (f.points or 0) / (f.most or 1) for (a, u, c), f in stored.items()
              if c == "total" and a != "*" and u == "*"}  # fmt: skip
    assert [m and m[1] for m in listed] == sorted(shares, key=lambda a: -shares[a])
    inside = {
        m and m[1] for m in (re.search(r"unit=([\w.-]+)", x) for x in re.findall(links, units))
    }
    assert inside == {u for (a, u, c) in stored if a == DEPARTMENT and u != "*" and c == "total"}


def test_what_costs_points_is_for_who_may_see_the_rows(town: World) -> None:
    asked = {"period": "2026-03", "agency": DEPARTMENT}
    for who, status in (("admin", 200), ("officer", 404), ("anonymous", 404)):
        with town.client(who) as client:
            panel = client.get(f"{PAGE}/faults", params=asked, headers={"hx-request": "true"})
            file = client.get(f"{PAGE}/faults-download", params=asked)
        assert (panel.status_code, file.status_code) == (status, status), who
        assert ("What costs points" in text_of(town, who, **asked)) == (status == 200)


def test_the_list_names_the_dossier_the_fault_and_the_points(town: World) -> None:
    found = corrections(town)
    top = found[0]
    said = text_of(town, "admin", period="2026-03", agency=DEPARTMENT)
    assert top.points > 0
    assert re.search(
        rf"{re.escape(top.key)} .{{5,160}} \+{re.escape(number(top.points, 'en', 4))}", said
    )
    late = [c for c in found if c.flaw == "late"]
    only = text_of(town, "admin", period="2026-03", agency=DEPARTMENT, flaw="late")
    assert f"asked twice for supplements {len(late)} " in only
    assert "Not filed online Khai" not in only


def test_the_file_holds_every_fault_with_its_exact_points(town: World) -> None:
    asked = {"period": "2026-03", "agency": DEPARTMENT}
    with town.client("admin") as client:
        answer = client.get(f"{PAGE}/faults-download", params=asked)
        sheet = client.get(f"{PAGE}/faults-download", params={**asked, "format": "xlsx"})
        unit = client.get(f"{PAGE}/faults-download", params={**asked, "unit": f"{DEPARTMENT}.hcc"})
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))[1:]
    found = corrections(town)
    assert [(row[0], float(row[4])) for row in rows] == [(c.key, c.points) for c in found]
    assert sheet.content[:2] == b"PK"
    units = {row[3] for row in list(csv.reader(io.StringIO(unit.content.decode("utf-8-sig"))))[1:]}
    assert units == {f"{DEPARTMENT}.hcc"}


def test_the_components_as_a_file(town: World, stored: dict[tuple[str, str, str], Figure]) -> None:
    with town.client() as client:
        answer = client.get(f"{PAGE}/download", params={"period": "2026-03", "agency": DEPARTMENT})
    rows = {r[0]: r for r in csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))}
    for name in ("2.1", "3.6", "5.4"):
        f = stored[(DEPARTMENT, "*", name)]
        assert [float(x) for x in rows[name][2:7]] == pytest.approx(
            [f.numerator, f.denominator, f.ratio, f.points, f.most]
        )
    assert float(rows["total"][5]) == pytest.approx(stored[(DEPARTMENT, "*", "total")].points)
    assert rows["1.2"][2:] == [*[""] * 5, "Not applicable: Of the whole province only"]


def test_periods_lead_on_and_unknown_ones_are_missing(town: World) -> None:
    with town.client() as client:
        for bad in ("2026-13", "x", "2026-03-01", "2026-03-01T04"):
            assert client.get(PAGE, params={"period": bad}).status_code == 404, bad
        page = client.get(PAGE, params={"period": "2026-03", "agency": DEPARTMENT}).text
        plain = client.get(f"{PAGE}/head", params={"period": "2026-03"}, follow_redirects=False)
    for period in ("2026-02", "2026-04", "2026-Q1", "2026"):
        assert f"{PAGE}?period={period}&amp;agency={DEPARTMENT}" in page, period
    assert (plain.status_code, plain.headers["location"]) == (303, f"{PAGE}?period=2026-03#head")
    said = text_of(town, "anonymous", period="2019-03")
    assert "There is no data of this scope in this period." in said


def test_where_it_comes_from_is_said(town: World) -> None:
    said = text_of(town, "admin", period="2026-03")
    with town.house.db.transaction() as conn:
        one = scores.find(conn, "score766")
    assert one.score.hash in said
    assert "sha256 41A27E55" in said
    for name, load in one.rests_on.items():
        assert f"{one.inputs[name].contract.title['en']} up to load {load}" in said
