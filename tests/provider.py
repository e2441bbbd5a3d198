"""A provider of OpenID Connect on loopback: Authlib's server part, real codes, keys and signatures.

`twist` changes what it signs, for a provider that is wrong or hostile.
"""

# The stubs that pyright brings for Authlib's server part are older than the library.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID = "dothi"
SECRET = "a secret of the tests, long enough for any algorithm"
Twist = Callable[[dict[str, Any], dict[str, Any], RSAKey], str | None]
"""Given header, claims and key: another token, or None for the usual one, of what it changed."""


@dataclass
class Client(ClientMixin):
    """The one client it knows."""

    redirect_uri: str

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret, SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code:
    """A code that waits to be exchanged, once."""

    code: str
    user: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class IdProvider:
    """The provider's state: who is signed in there, its keys, what was asked of it."""

    def __init__(self, address: str, redirect_uri: str) -> None:
        self.address = address
        self.user: str | None = "8f2c-lan"
        self.name = "Nguyễn Thị Lan"
        self.twist: Twist | None = None
        self.describe: Callable[[dict[str, Any]], dict[str, Any]] = lambda said: said
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.codes: dict[str, Code] = {}
        self.client = Client(redirect_uri)
        self.keys: list[RSAKey] = []
        self.rotate()
        self.server = _server(self)

    def rotate(self) -> None:
        """From now on another key signs, and the one before is published no more."""
        self.keys = [RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})]

    def metadata(self) -> dict[str, Any]:
        at = self.address
        return self.describe(
            {
                "issuer": at,
                "authorization_endpoint": f"{at}/authorize",
                "token_endpoint": f"{at}/token",
                "jwks_uri": f"{at}/jwks",
                "end_session_endpoint": f"{at}/end",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    def signed(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        key = self.keys[0]
        header["kid"] = key.kid
        twisted = self.twist(header, claims, key) if self.twist else None
        return twisted or jwt.encode(header, claims, key, ["RS256"])


def _server(provider: IdProvider) -> AuthorizationServer:
    class Server(AuthorizationServer):
        def query_client(self, client_id: str) -> Client | None:
            return provider.client if client_id == CLIENT_ID else None

        def save_token(self, token: Any, request: Any) -> None:
            pass

        def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
            return request

        def handle_response(self, status: int, body: Any, headers: Any) -> Any:
            return status, body, dict(headers)

        def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
            pass

    class Grant(AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = ["client_secret_basic"]

        def save_authorization_code(self, code: str, request: Any) -> Code:
            sent = request.payload.data
            provider.codes[code] = Code(
                code, request.user, request.payload.redirect_uri, request.payload.scope,
                sent.get("nonce"), sent.get("code_challenge"), sent.get("code_challenge_method"),
            )  # fmt: skip
            return provider.codes[code]

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del provider.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Code) -> str:
            return authorization_code.user

    class Openid(OpenIDCode):
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return False

        def get_client_claims(self, client: Client) -> dict[str, Any]:
            return {"iss": provider.address, "aud": [CLIENT_ID]}

        def generate_user_info(self, user: str, scope: str) -> UserInfo:
            return UserInfo(sub=user, name=provider.name)

        def resolve_client_private_key(self, client: Client) -> KeySet:
            return KeySet(list(provider.keys))

        def encode_id_token(self, token: Any, request: Any) -> str:
            genuine = super().encode_id_token(token, request)
            read = jwt.decode(genuine, KeySet(list(provider.keys)), ["RS256"])
            return provider.signed(dict(read.header), dict(read.claims))

    server = Server()
    server.register_token_generator(
        "default", BearerTokenGenerator(lambda **_: secrets.token_urlsafe(24))
    )
    server.register_grant(Grant, [Openid(require_nonce=True), CodeChallenge(required=True)])
    return server


class _Request(OAuth2Request):
    def __init__(self, method: str, path: str, sent: dict[str, str], headers: Any) -> None:
        # Authlib's server refuses http; that the tests stay on this machine it cannot know.
        super().__init__(method, f"https://loopback{path}", headers=headers)
        self.payload = BasicOAuth2Payload(sent)
        self._sent = sent

    @property
    def args(self) -> dict[str, str]:
        return self._sent

    @property
    def form(self) -> dict[str, str]:
        return self._sent


@contextmanager
def provider(redirect_uri: str) -> Iterator[IdProvider]:
    """The provider, serving on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            self._answer(parse_qs(self.rfile.read(length).decode()))

        def _answer(self, body: dict[str, list[str]]) -> None:
            parts = urlsplit(self.path)
            sent = {k: v[0] for k, v in {**parse_qs(parts.query), **body}.items()}
            made.asked.append(parts.path)
            headers = {"content-type": "application/json"}
            if parts.path in made.answers:
                status, headers, said = made.answers[parts.path]
            elif parts.path == "/.well-known/openid-configuration":
                status, said = 200, json.dumps(made.metadata()).encode()
            elif parts.path == "/jwks":
                status, said = 200, json.dumps(KeySet(list(made.keys)).as_dict()).encode()
            else:
                request = _Request(self.command, self.path, sent, self.headers)
                if parts.path == "/authorize":
                    grant = made.server.get_authorization_grant(request)
                    status, told, headers = made.server.create_authorization_response(
                        request, made.user, grant
                    )
                elif parts.path == "/token":
                    status, told, headers = made.server.create_token_response(request)
                else:
                    status, told, headers = 404, "", {}
                said = (json.dumps(told) if isinstance(told, dict) else told or "").encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        made = IdProvider(f"http://127.0.0.1:{http.server_port}", redirect_uri)
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield made
        finally:
            http.shutdown()
