"""With its database away the application says so, and serves again by itself."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

from dothi.store.database import own_sql
from tests.contract.world import world

ROWS = "/api/v1/datasets/own_gauges/rows"


def test_without_its_database_it_is_alive_but_not_ready_and_comes_back_alone(
    server: str, template: str, tmp_path: Path
) -> None:
    row = {"station": "G1", "time": "2025-03-01T00:00:00Z", "level": 2.5}
    with (
        world(server, template, tmp_path) as town,
        town.client("key") as client,
        psycopg.connect(server, autocommit=True) as owner,
    ):
        with town.house.db.transaction() as conn:
            name = conn.info.dbname
        assert client.get("/readyz").status_code == 200
        owner.execute(own_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        for answer in (client.get("/api/v1/datasets"), client.post(ROWS, json={"rows": [row]})):
            assert answer.status_code in (401, 503), answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) <= 1
        owner.execute(own_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        for _ in range(50):
            if client.get("/readyz").status_code == 200:
                break
            time.sleep(0.1)
        assert client.post(ROWS, json={"rows": [row]}).status_code == 201
