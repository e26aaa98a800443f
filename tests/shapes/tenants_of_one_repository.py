"""Several tenants in one repository, each applied as its own account."""

from __future__ import annotations

from tests.shapes import Shape, account, namespace
from tests.shapes.common import tenant
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="several tenants in one repository, each applied as its own account",
    expect="comes up",
    reason="the accounts and their roles are applied by what makes the tenants",
    files=files(
        clusters__home=many(
            kustomization("tenants", "./tenants", wait=True),
        ),
        tenants=many(
            namespace("red", "blue"),
            account("dev-team", "red"),
            account("dev-team", "blue", everywhere=True),
            tenant("red", "red"),
            tenant("blue", "blue"),
        ),
        red=config_map("web", "red"),
        blue=many(namespace("more"), config_map("web", "more")),
    ),
)
