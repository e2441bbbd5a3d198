"""What a dataset's contract says of a file's rows, without storing any of them."""

from __future__ import annotations

from pathlib import Path

from dothi import jail
from dothi.lake.contract import Contract
from dothi.lake.engine import engine
from dothi.lake.load_records import params_of
from dothi.lake.loading import job, limits, refused
from dothi.lake.model import Reject


def judge(contract: Contract, path: Path) -> list[Reject]:
    """The values that would keep their rows out, in the order of the file. Raises Invalid when the
    file cannot be read at all."""
    by_name = {column.name: column for column in contract.columns}
    with jail.run(job(contract, path), limits(path)) as result, engine(1, "512MB") as root:
        refused(result.value, path.name)
        found = root.execute(
            "SELECT row_no, column_name, value, reason, limit_ FROM read_parquet(?) "
            "ORDER BY row_no, column_name",
            [str(result.files / "rejects.parquet")],
        ).fetchall()
    return [Reject(n, c, v, r, params_of(r, p, by_name)) for n, c, v, r, p in found]
