"""A whole selection of a dataset's rows as a file for a person, from one snapshot."""

from __future__ import annotations

import threading
from typing import IO

from dothi.identity.model import Actor
from dothi.kernel.errors import TooLarge, TooMany
from dothi.kernel.time import VN, zone
from dothi.lake.out import formats
from dothi.lake.out.answer import head_of
from dothi.lake.out.formats import MOST_XLSX_ROWS, XLSX, Format
from dothi.lake.out.page import Asked, Order, page
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake

MOST_ROWS = 1_000_000
AT_ONCE = 2
"""Files that one process of ours writes at a time."""

_free = threading.BoundedSemaphore(AT_ONCE)


def download(
    lake: Lake, actor: Actor, dataset: Dataset, form: Format, *, filter: str, order: Order
) -> tuple[IO[bytes], int]:
    """The rows that a filter admits, and how many; times in the dataset's zone where a form has none.

    Raises TooLarge where they are more than a file of this form holds, TooMany while others are
    written, and what `page` raises.
    """
    most = MOST_XLSX_ROWS if form is XLSX else MOST_ROWS
    time = dataset.contract.time
    if not _free.acquire(blocking=False):
        raise TooMany("out.download_busy", retry_after_s=10, most=AT_ONCE)
    try:
        with page(lake, actor, dataset, Asked(filter, order=order, limit=most), most=most) as found:
            if found.next is not None:
                raise TooLarge("out.download_rows", most=most, form=form.word.upper())
            file = formats.written(
                form, found.cursor.sql(found.select), head_of(found), bom=True,
                local=zone(time.zone) if time else VN,
            )  # fmt: skip
            return file, found.count
    finally:
        _free.release()
