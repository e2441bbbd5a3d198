"""The addresses of the administration."""

from __future__ import annotations

from dothi.ioc.admin import accounts, agencies, audit, datasets, keys, packs, roles

ROUTERS = (
    agencies.router,
    accounts.router,
    keys.router,
    roles.router,
    datasets.router,
    packs.router,
    audit.router,
)
