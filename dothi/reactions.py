"""Every "when this happens in one room, then that in another". The rooms do not know each other.

Each reaction is a durable cursor over the event log: its effect and its place commit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dothi.identity.agencies import successors
from dothi.identity.model import SYSTEM, Actor
from dothi.indicators.service import find as find_indicator
from dothi.kernel import i18n
from dothi.kernel.period import Period
from dothi.kernel.time import utc_now
from dothi.lake import registry, sharing
from dothi.store.database import Connection
from dothi.store.events import Cursor, Event, emit
from dothi.work.duty.store import pass_on as pass_on_duty
from dothi.work.model import Severity
from dothi.work.service import Opening, open_item, settle
from dothi.work.store import pass_on as pass_on_work

SEVERITIES = {
    "notice": Severity.NOTICE,
    "warning": Severity.WARNING,
    "urgent": Severity.CRITICAL,
}


def threshold_to_work(conn: Connection, events: Sequence[Event]) -> None:
    """A limit was passed: the owner of the indicator gets a work item, one for station and limit."""
    for event in events:
        said = event.payload
        if said.get("direction") != "up":
            continue
        indicator = find_indicator(conn, said["indicator"])
        owner = successors(conn, [indicator.definition.owner]).get(indicator.definition.owner)
        if owner is None:
            continue
        thing = registry.things(conn, indicator.dataset)[said["thing"]]
        output = indicator.definition.output(said["parameter"])
        titles, details = {}, {}
        for lang in i18n.LANGS:
            value = i18n.number(said["value"], lang, output.decimals)
            limit = i18n.number(said["threshold"], lang, output.decimals)
            titles[lang] = i18n.t(
                "reactions.limit_title", lang, what=said["title"][lang], place=thing.title(lang)
            )
            details[lang] = i18n.t(
                "reactions.limit_detail", lang, output=output.title[lang], value=value,
                limit=limit, unit="" if output.unit == "1" else output.unit,
                source=said["source"],
            )  # fmt: skip
        open_item(
            conn,
            SYSTEM,
            Opening(
                kind="alarm",
                title=titles,
                detail=details,
                severity=SEVERITIES[said["severity"]],
                agency_id=thing.agency_id or owner,
                service=indicator.definition.pack,
                place=thing.title("vi"),
                source={
                    "indicator": indicator.name,
                    "output": output.name,
                    "thing": thing.id,
                    "stream": said["stream"],
                    "period": said["period"],
                    "value": said["value"],
                    "limit": said["threshold"],
                },
                dedupe_key=f"limit:{indicator.name}:{output.name}:{thing.id}",
            ),
        )


def late_return_to_work(conn: Connection, events: Sequence[Event]) -> None:
    """A return was not submitted in time: who reports gets a task, one for form, period and party.
    It ends by itself when the return is handed in."""
    for event in events:
        said = event.payload
        key = f"form:{said['dataset']}:{said['period']}:{said['party']}"
        if event.kind == "form.submitted":
            settle(conn, SYSTEM, key, i18n.t("reactions.late_settled", "vi"))
            continue
        dataset = registry.find(conn, said["dataset"])
        form = dataset.contract.form
        if form is None:  # the dataset has lost its form meanwhile
            continue
        period = Period.parse(said["period"])
        titles, details = {}, {}
        for lang in i18n.LANGS:
            party = said["title"][lang] if "title" in said else said["party"]
            titles[lang] = i18n.t(
                "reactions.late_title", lang, form=dataset.contract.title[lang],
                period=period.label(lang), party=party,
            )  # fmt: skip
            details[lang] = i18n.t(
                "reactions.late_detail", lang, due=date.fromisoformat(said["due"]),
                party=party,
            )  # fmt: skip
        open_item(
            conn,
            SYSTEM,
            Opening(
                kind="task",
                title=titles,
                detail=details,
                severity=Severity.NOTICE,
                agency_id=said["agency"],
                source={"form": f"{said['dataset']}/{said['period']}/{said['party']}"},
                dedupe_key=key,
            ),
        )


def merger_to_owners(conn: Connection, events: Sequence[Event]) -> None:
    """An agency became part of another: what it owned passes to its successor."""
    for event in events:
        old, new = event.payload["agency"], event.payload["into"]
        sharing.pass_on(conn, old, new)
        pass_on_duty(conn, old, new)
        number = (event.actor or "").removeprefix("account:")
        by = Actor("person", int(number), name=event.payload["by"]) if number.isdigit() else SYSTEM
        codes = pass_on_work(conn, old, new, by, utc_now())
        emit(
            conn, "work.passed", {"agency": new, "from_agency": old, "codes": codes},
            actor=event.actor, subject=event.subject,
        )  # fmt: skip


REACTIONS = (
    # a limit was passed → a work item for the owner
    Cursor("threshold_to_work", ("indicator.threshold",), threshold_to_work),
    # a return was not submitted in time → a task for who reports; submitted → the task ends
    Cursor("late_return_to_work", ("form.late", "form.submitted"), late_return_to_work),
    # an agency was merged into another → its datasets, its open work and its shifts pass to that
    Cursor("merger_to_owners", ("agency.merged",), merger_to_owners),
)


def topics_of(event: Event, datasets: dict[str, str]) -> list[str]:
    """The live topics that an event rings. `datasets`: names by number (as text)."""
    if event.kind in ("data.committed", "data.undone"):
        name = datasets.get(event.subject or "")
        topics = [f"series:{name}"] if name else []
        if event.kind == "data.undone" or event.payload.get("door") not in ("http", "indicator"):
            topics.append("loads")
        return topics
    if event.kind.startswith("work."):
        return ["work"]
    if event.kind == "target.set":
        return ["targets"]
    if event.kind == "leader.fixed":
        return ["leader"]
    if event.kind.startswith("duty."):
        return ["duty"]
    if event.kind == "screen.arranged":
        return [f"arranged:{event.subject}"]
    return []
