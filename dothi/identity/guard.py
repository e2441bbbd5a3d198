"""Who sends this request, and was it meant: cookies and keys to an actor, and the cross-site check.

Knows nothing of the web framework; the shell's middleware hands in header values.

**Cookies.** Over https the cookie is `__Host-dothi` (Secure, no Domain, Path=/: no other host and
no plain-http answer can plant it) and no other name is read; over plain http, as on a first
installation, browsers refuse that prefix, so it is `dothi_session`. Both are HttpOnly and
SameSite=Lax.

**Cross-site requests.** A request that changes something and is known by its cookie must come from
our own pages. Browsers say where it comes from: `Sec-Fetch-Site` on https and localhost, `Origin`
everywhere else. Only without either does a form's token (`csrf_token`, sent as the field or header
`CSRF_FIELD`) decide. Requests with a key carry nothing a foreign page could borrow.
"""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from urllib.parse import urlsplit

from dothi.identity import keys, sessions
from dothi.identity.model import ANONYMOUS, Actor
from dothi.identity.sessions import Lifetime, csrf_token
from dothi.kernel.errors import Forbidden, Unauthenticated
from dothi.store.database import Database

SECURE_COOKIE = "__Host-dothi"
PLAIN_COOKIE = "dothi_session"
CSRF_FIELD = "x-dothi-form"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

KEPT_S = 15.0
"""Seconds an answer is used again: so soon a revocation works in every process, if open streams
ask again as often."""
MOST_KEPT = 20_000


def cookie_name(*, https: bool) -> str:
    return SECURE_COOKIE if https else PLAIN_COOKIE


def set_cookie(token: str, lifetime: Lifetime, *, https: bool) -> str:
    """The value of a Set-Cookie header that gives the browser its session."""
    seconds = int(lifetime.absolute.total_seconds())
    return f"{cookie_name(https=https)}={token}; Max-Age={seconds}{_flags(https)}"


def clear_cookie(*, https: bool) -> str:
    """The value of a Set-Cookie header that takes it away."""
    return f"{cookie_name(https=https)}=; Max-Age=0{_flags(https)}"


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request says about where it comes from. `host` is its Host header; `form_token` what
    the field or header `CSRF_FIELD` holds."""

    method: str
    https: bool
    host: str
    sec_fetch_site: str | None = None
    origin: str | None = None
    form_token: str | None = None


def check_same_site(sent: Sent, cookie: str | None, *, by_key: bool = False) -> None:
    """Forbidden for a change that a foreign page may have caused.

    `cookie` is the session's token, `by_key` whether an API key identified the sender.
    """
    if sent.method in SAFE_METHODS or by_key:
        return
    if sent.sec_fetch_site is not None:
        fine = sent.sec_fetch_site in ("same-origin", "none")
    elif sent.origin is not None:
        fine = _is_ours(sent.origin, sent)
    elif cookie is None:
        fine = True  # nothing is known about the sender that a foreign page could use
    else:
        given = sent.form_token or ""
        fine = hmac.compare_digest(given.encode(), csrf_token(cookie).encode())
    if not fine:
        raise Forbidden("identity.cross_site")


def authenticate(
    db: Database,
    cookie: str | None,
    authorization: str | None,
    now: datetime,
    lifetime: Lifetime | None = None,
) -> Actor:
    """Who holds this session token or `Authorization: Bearer <key>`, asked of the database.

    A session that ended makes the sender nobody; a key that is no good is Unauthenticated, since
    whoever sends one does not want to be served as a stranger.
    """
    if authorization is not None:
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() == "bearer":
            with db.transaction() as conn:
                if actor := keys.find(conn, text.strip(), now):
                    return actor
        raise Unauthenticated("identity.bad_key")
    if cookie is None or not sessions.well_formed(cookie):
        return ANONYMOUS
    with db.transaction() as conn:
        return sessions.find(conn, cookie, lifetime or Lifetime(), now) or ANONYMOUS


class Guard:
    """`authenticate` with a memory of a few seconds, for one process and all its threads."""

    def __init__(
        self,
        db: Database,
        lifetime: Lifetime | None = None,
        *,
        kept_s: float = KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lifetime = lifetime or Lifetime()
        self._db = db
        self._kept_s = kept_s
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Actor]] = OrderedDict()
        self._lock = Lock()

    def remembered(self, cookie: str | None, authorization: str | None) -> Actor | None:
        """The actor if known without asking the database (never blocks), else None."""
        if authorization is None and cookie is None:
            return ANONYMOUS
        with self._lock:
            kept = self._known.get(_name(cookie, authorization))
        return kept[1] if kept and self._clock() - kept[0] < self._kept_s else None

    def authenticate(self, cookie: str | None, authorization: str | None, now: datetime) -> Actor:
        """As the function of this name; may ask the database."""
        if actor := self.remembered(cookie, authorization):
            return actor
        asked = self._clock()
        actor = authenticate(self._db, cookie, authorization, now, self.lifetime)
        if actor.signed_in:
            with self._lock:
                self._known[_name(cookie, authorization)] = (asked, actor)
                self._known.move_to_end(_name(cookie, authorization))
                if len(self._known) > MOST_KEPT:
                    self._known.popitem(last=False)
        return actor

    def forget(self) -> None:
        """Ask anew from now on: called in the process that ended a session or changed an account,
        so that there it works at once."""
        with self._lock:
            self._known.clear()


def _is_ours(origin: str, sent: Sent) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    scheme = "https" if sent.https else "http"
    return parts.scheme == scheme and parts.netloc.lower() == sent.host.lower() != ""


def _flags(https: bool) -> str:
    return "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if https else "")


def _name(cookie: str | None, authorization: str | None) -> bytes:
    text = f"key\n{authorization}" if authorization is not None else f"cookie\n{cookie}"
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
