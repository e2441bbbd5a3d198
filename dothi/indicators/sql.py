"""The one SELECT of an indicator: what may stand in it, and its form for the engine.

The text is parsed, every node is held against a list of what is allowed, and only SQL written
again from the checked tree is ever run; identifiers are quoted in it, so none can turn into a
keyword or a function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from dothi.indicators.functions import ARGUMENTS, FUNCTIONS
from dothi.indicators.model import Definition
from dothi.kernel.errors import Fault

CALENDAR = ("hour", "day", "month", "quarter", "year", "period_days")
"""To which periods a value belongs, and how many days has that of the indicator's grain."""
DATASET_COLUMNS = ("stream", "parameter", "time", *CALENDAR, "value", "quality", "usable")
"""What every dataset has beside its key; a column of the calendar only where no column of the key
has its name."""

_STRUCTURE = (
    exp.Select, exp.From, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Qualify,
    exp.Join, exp.Subquery, exp.With, exp.CTE, exp.TableAlias, exp.Table, exp.Column, exp.Alias,
    exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Tuple, exp.Distinct,
    exp.Window, exp.WindowSpec, exp.Filter, exp.Interval, exp.Var, exp.Union, exp.DataType,
)  # fmt: skip
_OPERATORS = (
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In,
    exp.Between, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.Case,
    exp.If, exp.Cast, exp.TryCast, exp.Like,
)  # fmt: skip
_FUNCTIONS = (
    exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Sqrt, exp.Ln, exp.Log, exp.Exp, exp.Pow, exp.Sign,
    exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.IsNan, exp.DateDiff, exp.TimestampTrunc,
    exp.DateTrunc, exp.Extract, exp.Avg, exp.Sum, exp.Count, exp.CountIf, exp.Min, exp.Max,
    exp.Median, exp.Quantile, exp.PercentileCont, exp.WithinGroup, exp.Stddev, exp.StddevPop,
    exp.StddevSamp, exp.Variance, exp.VariancePop, exp.ArgMax, exp.ArgMin, exp.RowNumber, exp.Rank,
    exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue,
)  # fmt: skip
_ALLOWED = frozenset((*_STRUCTURE, *_OPERATORS, *_FUNCTIONS))
_TYPES = frozenset(
    exp.DataType.Type[name]
    for name in ("INT", "BIGINT", "SMALLINT", "DOUBLE", "FLOAT", "BOOLEAN", "DATE", "VARCHAR",
                 "TEXT", "TIMESTAMP", "TIMESTAMPTZ")
)  # fmt: skip


def tree(definition: Definition) -> exp.Select:
    """The checked SELECT of a definition that `faults` has nothing to say about."""
    statements = sqlglot.parse(definition.sql, read="duckdb")
    statement = next(s for s in statements if s is not None)
    assert isinstance(statement, exp.Select)
    return statement


def written(node: exp.Expr) -> str:
    """SQL for the engine, every identifier quoted."""
    return node.sql(dialect="duckdb", identify=True, comments=False)


def calls(node: exp.Expr) -> Iterator[tuple[exp.Table, str, exp.Query]]:
    """The kernel functions called as tables: the table, the function's name, its one argument."""
    for table in node.find_all(exp.Table):
        if isinstance(table.this, exp.Anonymous):
            argument = table.this.expressions[0]
            yield table, str(table.this.this).lower(), argument.unnest()


def faults(definition: Definition) -> list[Fault]:
    """Everything in the SELECT that may not be there or is missing, each at line and column."""
    wanted = [*definition.key, "time", *(output.name for output in definition.outputs)]
    return Check(
        definition.path, definition.sql, definition.sql_line,
        tables=frozenset(definition.inputs),
        columns=frozenset((*DATASET_COLUMNS, *definition.key)),
        wanted=wanted,
        grain=definition.grain,
    ).run()  # fmt: skip


class Check:
    """One SELECT held against what may stand in it: the tables and columns it may read, the columns
    it has to give. Kernel functions may be called where a grain is said."""

    def __init__(
        self, path: str, text: str, line: int, *,
        tables: frozenset[str], columns: frozenset[str], wanted: Sequence[str],
        grain: str | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self.text = text
        self.line = line
        self.tables = tables
        self.columns = columns
        self.wanted = wanted
        self.grain = grain
        self.found: list[Fault] = []

    def run(self) -> list[Fault]:
        """Every fault, each at line and column."""
        try:
            statements = [s for s in sqlglot.parse(self.text, read="duckdb") if s]
        except ParseError as error:
            for one in error.errors or [{}]:
                at = (int(one.get("line") or 1), int(one.get("col") or 1))
                self._fault_at(at, "indicators.sql_syntax", problem=str(one.get("description")))
            return self.found
        except (TokenError, RecursionError) as error:
            self._fault_at((1, 1), "indicators.sql_syntax", problem=str(error)[:200])
            return self.found
        if len(statements) != 1 or not isinstance(statements[0], exp.Select):
            self._fault(statements[-1] if statements else None, "indicators.sql_one_select")
            return self.found
        statement = statements[0]
        self._node(statement)
        if not self.found:
            self._names(statement)
            self._projection(statement)
        return self.found

    # -- what may stand there ---------------------------------------------------------------------

    def _node(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Table):
            self._table(node)
            return
        if isinstance(node, exp.Star) and isinstance(node.parent, exp.Count):
            return
        if type(node) not in _ALLOWED:
            self._refuse(node)
            return
        if isinstance(node, exp.DataType) and (node.this not in _TYPES or node.expressions):
            self._fault(node, "indicators.sql_type", name=written(node))
            return
        if isinstance(node, exp.With) and node.args.get("recursive"):
            self._fault(node, "indicators.sql_recursive")
            return
        if isinstance(node, exp.Column) and (node.args.get("db") or node.args.get("catalog")):
            self._fault(node, "indicators.sql_not_allowed", what=written(node))
            return
        if isinstance(node, exp.CTE) and node.alias.lower() in self.tables:
            self._fault(node, "indicators.sql_shadow", name=node.alias)
        for child in node.iter_expressions():
            self._node(child)

    def _refuse(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Star):
            self._fault(node, "indicators.sql_star")
        elif isinstance(node, exp.Func):
            name = str(node.this) if isinstance(node, exp.Anonymous) else node.sql_name()
            self._fault(node, "indicators.sql_function", name=name.lower())
        else:
            self._fault(node, "indicators.sql_not_allowed", what=node.key.upper())

    def _table(self, node: exp.Table) -> None:
        for name, value in node.args.items():
            if value and name not in ("this", "alias", "joins"):
                self._fault(node, "indicators.sql_not_allowed", what=name.upper())
                return
        for join in node.args.get("joins") or ():
            self._node(join)
        if isinstance(node.this, exp.Anonymous):
            self._call(node.this)
        elif not isinstance(node.this, exp.Identifier):
            what = node.this.sql_name().lower() if isinstance(node.this, exp.Func) else node.name
            self._fault(node, "indicators.sql_table", name=what, known=self._known())
        elif node.name not in self.tables and node.name not in _common_tables(node):
            self._fault(node, "indicators.sql_table", name=node.name, known=self._known())

    def _call(self, call: exp.Anonymous) -> None:
        name = str(call.this).lower()
        function = FUNCTIONS.get(name)
        if function is None or self.grain is None:
            self._fault(call, "indicators.sql_table", name=name, known=self._known())
            return
        arguments = call.expressions
        query = arguments[0].unnest() if len(arguments) == 1 else None
        if not isinstance(query, exp.Select):
            self._fault(call, "indicators.sql_argument", name=name)
            return
        if tuple(query.named_selects) != ARGUMENTS:
            columns = ", ".join(ARGUMENTS)
            self._fault(call, "indicators.sql_argument_columns", name=name, columns=columns)
        if function.grain != self.grain:
            self._fault(call, "indicators.sql_grain", name=name, grain=function.grain)
        if query.find_ancestor(exp.CTE) or any(query.find_all(exp.CTE)):
            self._fault(call, "indicators.sql_argument_alone", name=name)
        if any(str(t.name) not in self.tables for t in query.find_all(exp.Table)):
            self._fault(call, "indicators.sql_argument_alone", name=name)
        self._node(query)

    # -- names ------------------------------------------------------------------------------------

    def _names(self, statement: exp.Select) -> None:
        """Columns that exist nowhere in the statement; the engine's binder judges their scope."""
        known = set(self.columns)
        for _, name, _ in calls(statement):
            known.update(FUNCTIONS[name].columns)
        for alias in statement.find_all(exp.Alias, exp.TableAlias):
            known.add(alias.alias if isinstance(alias, exp.Alias) else "")
            known.update(alias.alias_column_names if isinstance(alias, exp.TableAlias) else ())
        lower = {name.lower() for name in known}
        for column in statement.find_all(exp.Column):
            if column.name.lower() not in lower:
                names = ", ".join(sorted(known - {""}))
                self._fault(column, "indicators.sql_column", name=column.name, known=names)

    def _projection(self, statement: exp.Select) -> None:
        wanted = self.wanted
        given = statement.named_selects
        missing = [name for name in wanted if name not in given]
        extra = [name for name in given if name not in wanted]
        if missing:
            self._fault(statement, "indicators.sql_missing", names=", ".join(missing))
        if extra:
            names = ", ".join(name or "?" for name in extra)
            self._fault(statement, "indicators.sql_extra", names=names)
        if len(set(given)) < len(given):
            self._fault(statement, "indicators.sql_twice")

    def _known(self) -> str:
        functions = FUNCTIONS if self.grain is not None else ()
        return ", ".join((*sorted(self.tables), *functions))

    # -- where ------------------------------------------------------------------------------------

    def _fault(self, node: exp.Expr | None, key: str, **params: object) -> None:
        self._fault_at(self._place(node), key, **params)

    def _fault_at(self, place: tuple[int, int], key: str, **params: object) -> None:
        line, column = place
        where = f"{self.path}:{self.line + line}:{column}"
        self.found.append(Fault(where, key, params))

    def _place(self, node: exp.Expr | None) -> tuple[int, int]:
        """Line and column of a node in the SELECT, or of the nearest one that has them."""
        while node is not None:
            starts = [n.meta["start"] for n in node.walk() if "start" in n.meta]
            if starts:
                before = self.text[: min(starts)]
                return before.count("\n") + 1, len(before) - before.rfind("\n")
            node = node.parent
        return 1, 1


def _common_tables(node: exp.Expr) -> set[str]:
    """Names that WITH gives to tables anywhere around a node."""
    names: set[str] = set()
    above = node.parent
    while above is not None:
        with_ = above.args.get("with_") or above.args.get("with")
        if isinstance(with_, exp.With):
            names.update(cte.alias for cte in with_.expressions)
        above = above.parent
    return names
