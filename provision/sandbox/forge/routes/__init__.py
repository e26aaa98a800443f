"""The REST calls, one module per page of GitHub's documentation, and nothing else."""

from __future__ import annotations

from provision.sandbox.forge import routing
from provision.sandbox.forge.routes import (
    apps,
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
        *pulls.ROUTES,
        *apps.ROUTES,
    )
)
