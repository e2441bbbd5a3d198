"""The door rows go out by, for every dataset alike."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from dothi.identity.model import Actor
from dothi.identity.units_read import today
from dothi.lake import registry
from dothi.lake.out import answer, formats, sql
from dothi.lake.out.by_unit import Wanted, by_unit, table
from dothi.lake.out.formats import FORMATS, PLAIN_FORMATS
from dothi.lake.out.page import USUAL_ROWS, Order
from dothi.lake.service import Lake

Filter = Annotated[str | None, QueryParameter(description="Which rows: docs/api.md, “Filter”")]
Fields = Annotated[str | None, QueryParameter(description="Columns, separated by commas")]
Ordered = Annotated[Order, QueryParameter(description="By key or by time; with - the last first")]
Limit = Annotated[int, QueryParameter(description="Rows in one answer, at most 100,000")]
After = Annotated[str | None, QueryParameter(description="The `next` of the page before")]
AsOf = Annotated[
    str | None, QueryParameter(description="An instant: the rows that the loads until then gave")
]
Form = Annotated[
    str | None,
    QueryParameter(name="format", description="json, ndjson, csv, arrow, xlsx or parquet"),
]
Bom = Annotated[bool, QueryParameter(description="CSV with a byte order mark, for spreadsheets")]

FORMS = [one.media_type for one in FORMATS]
PLAIN_FORMS = [one.media_type for one in PLAIN_FORMATS]


@get(
    "/datasets/{name:str}/rows", opt={"access": "dataset.read", "forms": FORMS}, sync_to_thread=True
)
def dataset_rows(
    name: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    filter: Filter = None,
    fields: Fields = None,
    order: Ordered = "key",
    limit: Limit = USUAL_ROWS,
    after: After = None,
    as_of: AsOf = None,
    form: Form = None,
    bom: Bom = False,
) -> Response[Any]:
    """Rows of a dataset that the caller may read: a page in key order, from one snapshot."""
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, name)
    what = answer.asked(
        filter=filter, fields=fields, order=order, limit=limit, after=after, as_of=as_of
    )
    return answer.rows(request, lake, actor, dataset, what, word=form, bom=bom)


@get(
    "/datasets/{name:str}/by-unit",
    opt={"access": "dataset.read", "forms": FORMS},
    sync_to_thread=True,
)
def dataset_by_unit(
    name: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    units: Annotated[
        date | None, QueryParameter(description="The day whose units are wanted; today without it")
    ] = None,
    basis: Annotated[
        str, QueryParameter(description="Shares of split units: by population or by area")
    ] = "population",
    parameter: Annotated[
        str | None, QueryParameter(description="Parameters, separated by commas; all without it")
    ] = None,
    unit: Annotated[
        str | None, QueryParameter(description="The code of a unit: only what is about it")
    ] = None,
    start: Annotated[
        str | None, QueryParameter(name="from", description="An instant or a date")
    ] = None,
    end: Annotated[
        str | None, QueryParameter(name="to", description="An instant or a date, itself left out")
    ] = None,
    form: Form = None,
    bom: Bom = False,
) -> Response[Any]:
    """A series by the administrative units of another day: docs/units.md."""
    chosen = answer.form_of(request, form)
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, name)
    parameters = tuple(p.strip() for p in (parameter or "").split(",") if p.strip())
    day = units or today()
    wanted = Wanted(day, basis, parameters, answer.instant(start), answer.instant(end), unit)
    found = by_unit(lake, actor, dataset, wanted)
    head = {"dataset": dataset.name, "units": day, "basis": basis, "count": len(found.lines)}
    with table(lake, found) as rows:
        file = formats.written(chosen, rows, head, bom=bom)
    headers = {"dothi-rows": str(len(found.lines))}
    return answer.sent(request, file, chosen, f"{dataset.name}-{day}", headers)


class SqlIn(msgspec.Struct, forbid_unknown_fields=True):
    """A question in SQL. `since` and `until` are instants: only this stretch of series is read."""

    sql: str
    limit: int = 1_000
    since: str | None = None
    until: str | None = None


EXAMPLE_SQL = SqlIn("SELECT parameter, avg(value) AS mean FROM air_quality GROUP BY parameter")


@post(
    "/sql", opt={"access": "dataset.read", "example": EXAMPLE_SQL, "forms": PLAIN_FORMS},
    status_code=200, sync_to_thread=True,
)  # fmt: skip
def ask_sql(
    data: JSONBody[SqlIn],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    form: Form = None,
    bom: Bom = False,
) -> Response[Any]:
    """One SELECT over the datasets that the caller may read, run in the jail."""
    chosen = answer.form_of(request, form, PLAIN_FORMATS)
    statement = sql.Statement(
        data.sql, data.limit, answer.instant(data.since), answer.instant(data.until)
    )
    told = sql.run(lake, actor, statement, chosen, bom=bom)
    headers = {
        "dothi-rows": str(told.rows), "dothi-limit": str(data.limit),
        "dothi-most-rows": str(sql.MOST_ANSWER), "dothi-truncated": str(told.truncated).lower(),
        "dothi-datasets": ",".join(told.datasets),
    }  # fmt: skip
    return answer.sent(request, told.file, chosen, "sql", headers)


router = Router("/api/v1", route_handlers=[ask_sql, dataset_by_unit])
"""`dataset_rows` stands beside the other handlers of its address, in `dothi/lake/api.py`."""
