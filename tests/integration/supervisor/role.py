"""Small programs that behave as the application's roles do, for the tests of the supervisor.

role.py migrate        makes the role, the database and one table
role.py web            HTTP on the inherited socket: /readyz, /count, /add, /log, /stream
role.py worker         waits
role.py stubborn       ignores SIGTERM
role.py broken         ends at once with words on stderr
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

from dothi.store import lifeline, pulse
from dothi.store.ballast import Ballast
from dothi.store.home import Home
from dothi.store.provision import provision
from dothi.store.settings import Settings

SETTINGS = Settings.read(os.environ)


def migrate() -> None:
    assert SETTINGS.database_url
    if SETTINGS.owner_url:
        provision(SETTINGS.owner_url, SETTINGS.database_url)
    with psycopg.connect(SETTINGS.database_url) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS note (id bigint PRIMARY KEY, text text)")


def web() -> None:
    guard = Ballast(
        SETTINGS.home,
        reserve_bytes=SETTINGS.reserve_bytes,
        ballast_bytes=SETTINGS.ballast_bytes,
    )
    server = Server(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=int(os.environ["DOTHI_SOCKET"]))
    server.server_address = server.socket.getsockname()[:2]
    server.server_name, server.server_port = "localhost", server.server_address[1]
    server.daemon_threads = True
    Handler.guard = guard

    def end(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    server.serve_forever(poll_interval=0.05)


class Server(ThreadingHTTPServer):
    beat = staticmethod(pulse.beat())

    def service_actions(self) -> None:
        self.beat()


class Handler(BaseHTTPRequestHandler):
    guard: Ballast

    def do_GET(self) -> None:
        try:
            status, text = self.answer(self.path)
        except psycopg.Error as error:
            status, text = 503, str(error)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, path: str) -> tuple[int, str]:
        if path == "/stream":
            while True:
                time.sleep(0.2)
                self.wfile.write(b".")
        assert SETTINGS.database_url
        name, _, value = path.partition("?")
        with psycopg.connect(SETTINGS.database_url, connect_timeout=2) as conn:
            if name == "/readyz":
                conn.execute("SELECT 1")
                return 200, "ready"
            if name == "/add":
                if not self.guard.writes_allowed():
                    return 507, "full"
                conn.execute("INSERT INTO note VALUES (%s, repeat('x', 1000))", (int(value),))
                conn.commit()
                return 200, value
            if name == "/log":
                # Fills PostgreSQL's own log, the one thing it cannot go without.
                conn.execute(
                    "SELECT pg_logical_emit_message(false, '', repeat('x', 1000000))"
                    " FROM generate_series(1, %s)",
                    (int(value),),
                )
                return 200, value
            row = conn.execute("SELECT count(*) FROM note WHERE id > 0").fetchone()
            return 200, str(row[0] if row else None)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    role = sys.argv[1]
    if "broken" in role:
        sys.exit("the oven is cold")
    if role == "parent":
        # A child without our mark and without a tie, as a careless library might start one.
        subprocess.Popen(["sleep", "300"], env={})
    lifeline.follow()
    Home(SETTINGS.home).prepare()
    if role == "migrate":
        migrate()
    elif role.startswith("web"):
        web()
    else:
        if role == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    main()
