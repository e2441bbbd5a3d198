"""What the page shell and the shared parts show: values only, filled by routes, rendered by templates.

Every string in a view is already in the page's language; times carry their zone; numbers are
numbers, written by the template's filters.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "notice", "warning", "critical", "unknown"]
"""How much attention something needs: drawn as circle, triangle, diamond, square, hollow circle."""

Theme = Literal["dark", "light"]


@dataclass(frozen=True)
class Status:
    """A state in words; its level decides shape and colour."""

    level: Level
    text: str


@dataclass(frozen=True)
class Chip:
    """One count in the header: "2 cảnh báo", "11/12 trạm trực tuyến"."""

    level: Level
    count: str
    text: str
    url: str | None = None


@dataclass(frozen=True)
class ChipsView:
    """The counts in the header, alone; with an `url` they refresh themselves there."""

    chips: tuple[Chip, ...]
    url: str | None = None
    topics: tuple[str, ...] = ()


@dataclass(frozen=True)
class NavItem:
    """A link of the main navigation. `icon`: a name of templates/icons.html."""

    text: str
    url: str
    icon: str
    current: bool = False


@dataclass(frozen=True)
class Account:
    """Who is signed in, shown by role and agency."""

    title: str
    agency: str


@dataclass(frozen=True)
class Flash:
    """What the last action did, shown once above the page."""

    level: Level
    text: str


@dataclass(frozen=True)
class Latest:
    """Something that just happened, one line."""

    at: dt.datetime
    text: str


@dataclass(frozen=True)
class LatestView:
    """The newest events in the footer, newest first; it refreshes itself at `url`."""

    url: str
    topics: tuple[str, ...]
    entries: tuple[Latest, ...]


@dataclass(frozen=True)
class Shell:
    """Everything around a page.

    `path` is where the language and theme buttons come back to; `theme` None follows the browser;
    `sign_in` offers signing in where no account is given; `live_url` None shows no live state
    (pages without live parts). With `chips_url` the counts of
    the header refresh themselves there when one of `chips_topics` rings. `heard` is the place in the
    event log that the page knows (`Hub.heard`).
    """

    title: str
    province: str
    now: dt.datetime
    path: str
    theme: Theme | None = None
    demo: bool = False
    nav: tuple[NavItem, ...] = ()
    chips: tuple[Chip, ...] = ()
    account: Account | None = None
    sign_in: bool = True
    live_url: str | None = None
    heard: str = ""
    chips_url: str | None = None
    chips_topics: tuple[str, ...] = ()
    latest: LatestView | None = None
    flash: Flash | None = None

    @property
    def chips_view(self) -> ChipsView:
        """The header's counts as the fragment shows them."""
        return ChipsView(self.chips, self.chips_url, self.chips_topics)


@dataclass(frozen=True)
class LoginView:
    """The sign-in form. `error` says why the last attempt failed; `next` is a local path.

    `provider` is the name of another way to sign in; `provider_out` where its session ends, for who
    has just left ours.
    """

    next: str = "/"
    username: str = ""
    error: str | None = None
    provider: str | None = None
    provider_out: str | None = None


@dataclass(frozen=True)
class PasswordView:
    """The form to change one's own password; identities of `provider` that may sign in too."""

    min_length: int = 12
    error: str | None = None
    faults: dict[str, str] | None = None
    provider: str | None = None
    linked: tuple[str, ...] = ()


@dataclass(frozen=True)
class OnwardView:
    """A way to another host, which a form must not take by itself."""

    text: str
    link: str
    url: str


@dataclass(frozen=True)
class ProblemView:
    """An error as a page: what is wrong, what to do, and the reference for the administrator."""

    status: int
    title: str
    detail: str
    advice: str | None = None
    reference: str | None = None
    retry_url: str | None = None
