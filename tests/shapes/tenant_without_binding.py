"""Several tenants: an account that nothing gives a role."""

from __future__ import annotations

from tests.shapes import Shape, namespace
from tests.shapes.common import tenant
from tests.support.gitopsdocs import config_map, files, many, obj

SHAPE = Shape(
    about="several tenants: an account that nothing gives a role",
    expect="cannot come up",
    reason="the controller acts as the account, and the API server forbids everything",
    names=("bound to no role in namespace apps",),
    files=files(
        clusters__home=many(
            namespace("apps"), obj("v1:ServiceAccount", "dev-team", "apps"), tenant("own", "apps")
        ),
        own=config_map("web", "apps"),
    ),
)
