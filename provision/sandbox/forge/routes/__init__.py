"""The REST calls, one module per page of GitHub's documentation, and nothing else."""

from __future__ import annotations

from provision.sandbox.forge import routing
from provision.sandbox.forge.routes import (
    apps,
    archives,
    branches,
    contents,
    gitdata,
    keys,
    meta,
    pulls,
    refs,
    repos,
)

TABLE = routing.Table(
    (
        *meta.ROUTES,
        *keys.ROUTES,
        *gitdata.ROUTES,
        *refs.ROUTES,
        *repos.ROUTES,
        *branches.ROUTES,
        *contents.ROUTES,
        *archives.ROUTES,
        *pulls.ROUTES,
        *apps.ROUTES,
    )
)
