"""Templates: one Jinja environment for all rooms, the page's language bound to every render.

In a template ``t("area.key", …)`` is a text of the catalogue and ``asset("css/base.css")`` a static
address; values are written by the filters ``num``, ``day``, ``moment``, ``clock``, ``span``,
``left`` and ``spark``. Nothing in a template may come from outside unescaped.
"""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from dothi.kernel import i18n
from dothi.kernel.zone import VN, VN_NAME
from dothi.web.assets import Assets
from dothi.web.view import Shell

CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
HTMX = {
    "includeIndicatorStyles": False,
    "allowEval": False,
    "allowScriptTags": False,
    "selfRequestsOnly": True,
    "historyCacheSize": 0,
    "refreshOnHistoryMiss": True,
    "defaultSwapStyle": "outerHTML",
}
SCRIPT_WORDS = "web.script."


class Pages:
    """Renders templates from the folders of the rooms that bring screens."""

    def __init__(self, folders: Sequence[Path], assets: Assets) -> None:
        self._assets = assets
        self._words = {lang: _script_words(lang) for lang in i18n.LANGS}
        self._environment = Environment(
            loader=FileSystemLoader(list(folders)),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(_filters())
        self._environment.globals.update(
            asset=assets.url, htmx_config=json.dumps(HTMX), timezone=VN_NAME
        )

    def render(self, template: str, lang: str, **values: object) -> str:
        """A page or a fragment in `lang`. Pages need `shell`, fragments their view as `view`."""
        return self._environment.get_template(template).render(
            lang=lang, t=partial(_text, lang=lang), **values
        )

    def page(self, template: str, lang: str, shell: Shell, view: object) -> str:
        """A whole page: the shell around `view`."""
        return self.render(
            template,
            lang,
            shell=shell,
            view=view,
            script_words=self._words[lang],
            build=self._assets.build,
            vendor_base=self._assets.base("vendor"),
        )


def spark(values: Sequence[float | None], width: float = 100, height: float = 30) -> dict[str, str]:
    """The paths of a sparkline: `line`, the `area` under it and the `dot` at its last value.

    Missing values are gaps. All paths are empty when there are fewer than two values.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return {"line": "", "area": "", "dot": ""}
    low, high = min(known), max(known)
    scale = (height - 4) / ((high - low) or 1)
    step = width / (len(values) - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            y = height / 2 if high == low else height - 2 - (value - low) * scale
            runs[-1].append((round(index * step, 2), round(y, 2)))
    runs = [run for run in runs if run]
    line = " ".join("M" + "L".join(f"{x} {y}" for x, y in run) for run in runs)
    area = " ".join(
        f"M{run[0][0]} {height}L"
        + "L".join(f"{x} {y}" for x, y in run)
        + f"L{run[-1][0]} {height}Z"
        for run in runs
    )
    x, y = runs[-1][-1]
    return {"line": line, "area": area, "dot": f"M{x} {y}h0" if values[-1] is not None else ""}


def _text(key: str, *, lang: str, **params: object) -> str:
    return i18n.t(key, lang, **params)


def _script_words(lang: str) -> Markup:
    """The texts scripts show, as JSON that may stand inside a script element."""
    words = {
        key.removeprefix(SCRIPT_WORDS): i18n.catalogue()[key][lang]
        for key in sorted(i18n.catalogue())
        if key.startswith(SCRIPT_WORDS)
    }
    return Markup(json.dumps(words, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704


def _filters() -> dict[str, Callable[..., Any]]:
    def localised(write: Callable[..., str]) -> Callable[..., str]:
        @pass_context
        def apply(context: Context, value: Any, *arguments: Any) -> str:
            return write(value, context["lang"], *arguments)

        return apply

    return {
        "num": localised(i18n.number),
        "day": localised(i18n.date),
        "moment": localised(_moment),
        "clock": localised(_clock),
        "weekday": localised(_weekday),
        "span": localised(i18n.duration),
        "left": localised(i18n.remaining),
        "spark": spark,
    }


def _moment(value: dt.datetime | None, lang: str) -> str:
    """Hour first, as Vietnamese screens write it: 08:24, 21/11/2026."""
    return i18n.NOTHING if value is None else f"{_clock(value, lang)}, {i18n.date(value, lang)}"


def _clock(value: dt.datetime | None, _lang: str) -> str:
    return i18n.NOTHING if value is None else value.astimezone(VN).strftime("%H:%M")


def _weekday(value: dt.datetime, lang: str) -> str:
    return i18n.t(f"web.weekday_{value.astimezone(VN).isoweekday()}", lang)
