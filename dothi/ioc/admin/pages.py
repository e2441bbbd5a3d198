"""The addresses of the administration."""

from __future__ import annotations

from dothi.ioc.admin import accounts, agencies, audit, datasets, keys, packs, pulls, roles, targets

ROUTERS = (
    agencies.router,
    accounts.router,
    keys.router,
    roles.router,
    datasets.router,
    targets.router,
    pulls.router,
    packs.router,
    audit.router,
)
