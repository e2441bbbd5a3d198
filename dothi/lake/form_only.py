"""The one door of figures that officers type: what a form asks for comes in by approval alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from dothi.kernel.errors import Invalid
from dothi.kernel.period import Period
from dothi.lake.contract import Contract
from dothi.lake.form import Form

DOOR = "form"


def only_by_form(contract: Contract, periods: Iterable[datetime | date | str]) -> None:
    """Refuse rows of periods that returns are asked for; what is older may come as it likes.

    `periods` are a series' instants (without a zone: UTC) or what stands in the period's column.
    Raises Invalid. A snapshot is refused whole: it would withdraw what it does not hold.
    """
    form = contract.form
    if form is None:
        return
    if contract.snapshot or any(not _before(form, one) for one in periods):
        raise Invalid("forms.only_by_form", name=contract.name, since=form.since.code)


def _before(form: Form, when: datetime | date | str) -> bool:
    if isinstance(when, datetime):
        return (when if when.tzinfo else when.replace(tzinfo=UTC)) < form.since.start
    try:
        return Period.parse(str(when)).start < form.since.start
    except Invalid:
        return False
