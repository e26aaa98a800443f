"""Several tenants: one applies an object beside its own namespace."""

from __future__ import annotations

from tests.shapes import Shape, account, namespace
from tests.shapes.common import tenant
from tests.support.gitopsdocs import config_map, files, many

SHAPE = Shape(
    about="several tenants: one applies an object beside its own namespace",
    expect="cannot come up",
    reason="a RoleBinding counts in its namespace, and the ConfigMap is in another one",
    names=("bound to no role in namespace other",),
    files=files(
        clusters__home=many(
            namespace("apps", "other"), account("dev-team", "apps"), tenant("own", "apps")
        ),
        own=many(config_map("web", "apps"), config_map("web", "other")),
    ),
)
