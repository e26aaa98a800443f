"""Several tenants: one makes a Namespace, which only a ClusterRoleBinding allows."""

from __future__ import annotations

from tests.shapes import Shape, account, namespace
from tests.shapes.common import tenant
from tests.support.gitopsdocs import config_map, files, many

SHAPE = Shape(
    about="several tenants: one makes a Namespace, which only a ClusterRoleBinding allows",
    expect="cannot come up",
    reason="a Namespace is an object of the whole cluster",
    names=("bound to no role for the whole cluster",),
    files=files(
        clusters__home=many(namespace("apps"), account("dev-team", "apps"), tenant("own", "apps")),
        own=many(namespace("more"), config_map("web", "apps")),
    ),
)
