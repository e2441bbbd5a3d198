"""OpenID Connect: sending somebody to their provider, and reading what the provider says of them.

The code flow with PKCE and nonce. The provider's word counts only as a token signed by one of its
published keys, made for us, for this very attempt, and not too old. Who that is here, `links` says.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from dothi.kernel.errors import DothiError, Unauthenticated, Unavailable
from dothi.net.outgoing import Answer, Outgoing
from dothi.store.settings import Oidc

SCOPE = "openid profile"
ALGORITHMS = [f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)]
"""Signatures by a key that only the provider has: neither `none` nor a secret we both know."""
LEEWAY_S = 60
"""By so much the provider's clock may differ from ours."""
KEPT_S = 3600.0
"""The provider's description is asked for anew after this; its keys also when one is unknown."""
LONGEST_SUBJECT = 255
AGAIN_S = 10


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is kept of somebody who was sent to the provider, until they come back.

    `account`: who was signed in here, and wants that identity linked to their account.
    """

    state: str
    nonce: str
    verifier: str
    goal: str
    account: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it is. Only issuer and subject together are lasting and unique."""

    issuer: str
    subject: str
    name: str = ""


class Provider:
    """One provider, for all threads of a process."""

    def __init__(
        self,
        settings: Oidc,
        public_url: str,
        outgoing: Outgoing,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = settings.name
        self.issuer = settings.issuer
        self._client_id = settings.client_id
        self._secret = settings.secret()
        self._home = public_url.rstrip("/")
        self._redirect = f"{self._home}/login/oidc/callback"
        self._out = outgoing
        self._now = now
        self._described: tuple[float, dict[str, Any]] | None = None
        self._keys: KeySet | None = None
        self._lock = threading.Lock()

    def begin(self, goal: str, account: int | None = None) -> tuple[str, Attempt]:
        """The address to send a browser to, and what to keep until it comes back."""
        attempt = Attempt(
            secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48),
            goal, account,
        )  # fmt: skip
        url, _ = self._client().create_authorization_url(
            self._endpoint("authorization_endpoint"),
            state=attempt.state,
            code_verifier=attempt.verifier,
            nonce=attempt.nonce,
        )
        return url, attempt

    def finish(self, attempt: Attempt, answer: Mapping[str, str]) -> Identity:
        """Who came back with these query parameters.

        Unauthenticated if the provider refused, or said what cannot be believed; Unavailable if it
        cannot be asked.
        """
        if answer.get("iss", self.issuer) != self.issuer:
            raise Unauthenticated("oidc.not_believed")
        if "iss" not in answer and self._metadata().get(
            "authorization_response_iss_parameter_supported"
        ):
            raise Unauthenticated("oidc.not_believed")
        code = answer.get("code", "")
        if "error" in answer or not code:
            raise Unauthenticated("oidc.refused", name=self.name)
        try:
            token = self._client().fetch_token(
                self._endpoint("token_endpoint"),
                grant_type="authorization_code",
                code=code,
                code_verifier=attempt.verifier,
                redirect_uri=self._redirect,
            )
            return self._read(token, attempt)
        except (OAuth2Error, JoseError, ValueError, KeyError, TypeError) as error:
            raise Unauthenticated("oidc.not_believed") from error

    def sign_out_url(self) -> str | None:
        """Where the provider ends its own session, if it says so."""
        try:
            url = self._metadata().get("end_session_endpoint")
            if not isinstance(url, str):
                return None
            self._out.check(url)
        except DothiError:
            return None
        after = {
            "client_id": self._client_id,
            "post_logout_redirect_uri": f"{self._home}/login",
        }
        return f"{url}{'&' if '?' in url else '?'}{urlencode(after)}"

    def _read(self, token: Mapping[str, Any], attempt: Attempt) -> Identity:
        signed = self._verified(token["id_token"])
        claims = CodeIDToken(
            signed.claims,
            signed.header,
            options={
                "iss": {"essential": True, "value": self.issuer},
                "aud": {"essential": True, "value": self._client_id},
                "sub": {"essential": True},
                "exp": {"essential": True},
                "iat": {"essential": True},
                "nonce": {"essential": True, "value": attempt.nonce},
            },
            params={
                "nonce": attempt.nonce,
                "client_id": self._client_id,
                "access_token": token.get("access_token"),
            },
        )
        claims.validate(now=int(self._now()), leeway=LEEWAY_S)
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise ValueError("no subject")
        if not subject.isprintable():
            raise ValueError("no subject that can be shown")
        name = claims.get("name") or claims.get("preferred_username")
        return Identity(self.issuer, subject, name[:200] if isinstance(name, str) else "")

    def _verified(self, text: str) -> jwt.Token:
        """A token by one of the provider's keys; asked for again when none fits, as after a change
        of keys."""
        with self._lock:
            known = self._keys
        if known is not None:
            try:
                return jwt.decode(text, known, ALGORITHMS)
            except (JoseError, ValueError):
                pass
        fresh = KeySet.import_key_set(self._json(self._endpoint("jwks_uri")))  # pyright: ignore[reportArgumentType]
        with self._lock:
            self._keys = fresh
        return jwt.decode(text, fresh, ALGORITHMS)

    # -- what the provider says of itself ------------------------------------------------------------

    def _endpoint(self, name: str) -> str:
        url = self._metadata().get(name)
        if not isinstance(url, str):
            raise Unavailable("oidc.no_provider", name=self.name, retry_after_s=AGAIN_S)
        self._out.check(url)
        return url

    def _metadata(self) -> dict[str, Any]:
        with self._lock:
            kept = self._described
        if kept and time.monotonic() - kept[0] < KEPT_S:
            return kept[1]
        said = self._json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != self.issuer:
            raise Unavailable("oidc.no_provider", name=self.name, retry_after_s=AGAIN_S)
        with self._lock:
            self._described = (time.monotonic(), said)
        return said

    def _json(self, url: str) -> dict[str, Any]:
        answer = self._out.get(url, {"accept": "application/json"})
        try:
            said = json.loads(answer.body) if answer.status == 200 else None
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise Unavailable("oidc.no_provider", name=self.name, retry_after_s=AGAIN_S)
        return said

    def _client(self) -> OAuth2Client:
        """Authlib's client over our door for outgoing requests."""
        offered = self._metadata().get("token_endpoint_auth_methods_supported")
        method = None
        if self._secret and isinstance(offered, list) and "client_secret_basic" not in offered:
            method = "client_secret_post"
        return OAuth2Client(
            _Session(self._out),
            client_id=self._client_id,
            client_secret=self._secret,
            token_endpoint_auth_method=method,
            scope=SCOPE,
            redirect_uri=self._redirect,
            code_challenge_method="S256",
        )


class _Session:
    """What Authlib's client needs of an HTTP library."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._out = outgoing

    def post(self, url: str, *, data: dict[str, str], headers: dict[str, str], auth: Any) -> _Reply:
        url, sent, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        return _Reply(self._out.post(url, sent, body.encode()))


class _Reply:
    """An answer as Authlib reads it."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self._body = answer.body

    def json(self) -> Any:
        return json.loads(self._body)

    def raise_for_status(self) -> None:
        raise ValueError(f"the provider answered {self.status_code}")
