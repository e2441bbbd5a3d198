"""`dothi calendar [YEAR]`: which days offices are closed or open otherwise, and by whose word."""

from __future__ import annotations

import argparse
import os
from datetime import date

from dothi.kernel import workdays
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, local_date, utc_now
from dothi.store.settings import Settings, language


def arguments_calendar(parser: argparse.ArgumentParser) -> None:
    help_ = t("calendar.option_year", language(os.environ))
    parser.add_argument("year", metavar="YEAR", nargs="?", type=int, help=help_)


def run_calendar(args: argparse.Namespace, settings: Settings) -> int:
    """Print a year's holidays and working Saturdays, each with its ground."""
    lang = settings.lang
    year = local_date(utc_now(), VN).year if args.year is None else args.year
    days = workdays.special_days(year)
    print(t("calendar.year_head", lang, year=year))
    for one in days:
        print(
            t(
                "calendar.row", lang,
                date=one.on, weekday=t(f"web.weekday_{one.on.isoweekday()}", lang),
                what=one.name[lang] if one.name else "", ground=one.ground[lang],
                verify=t("calendar.verify", lang) if one.verify else "",
            )
        )  # fmt: skip
    working = workdays.working_days_between(date(year, 1, 1), date(year, 12, 31))
    print(
        t(
            "calendar.year_foot", lang, year=year,
            working=working + workdays.is_working_day(date(year, 1, 1)),
            off=sum(not one.working and one.on.weekday() < 5 for one in days),
            on=sum(one.working for one in days),
        )
    )  # fmt: skip
    return 0
