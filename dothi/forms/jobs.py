"""What the clock does with returns: telling once of each that is late."""

from __future__ import annotations

from datetime import timedelta

from dothi.forms import plan, store
from dothi.forms.model import Place, Return, due, periods
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.store.database import Database
from dothi.store.events import emit

TOLD_FOR = timedelta(days=31)
"""A form that is new to a house does not raise what was never asked for in years before."""


def tell_late(db: Database) -> int:
    """Write `form.late` for every return whose last day has passed lately and that was never
    submitted; once each. How many."""
    now = utc_now()
    today = local_date(now, VN)
    told = 0
    with db.transaction() as conn:
        for dataset in plan.forms(conn):
            form = plan.form_of(dataset)
            for period in periods(form, today):
                last = due(form, period)
                if not last < today <= last + TOLD_FOR:
                    continue
                returns = store.of_periods(conn, dataset.id, [period.code])
                for party in plan.parties(conn, dataset, period, today):
                    place = Place(dataset, form, period, party)
                    found = returns.get((period.code, party.code)) or Return(
                        party.code, period.code, party.agency_id
                    )
                    if not found.late(last, today):
                        continue
                    if store.tell_late(conn, dataset.id, period.code, party.code, now):
                        said = {
                            "dataset": dataset.name, "period": period.code, "party": party.code,
                            "title": party.title, "agency": party.agency_id, "due": last.isoformat(),
                        }  # fmt: skip
                        emit(conn, "form.late", said, subject=f"form:{place.subject}")
                        told += 1
    return told
