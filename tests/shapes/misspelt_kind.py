"""A kind of Kubernetes with a misspelt version."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, many, obj

SHAPE = Shape(
    about="a kind of Kubernetes with a misspelt version",
    expect="cannot come up",
    reason="the API server has no such version",
    names=("CronJob default/tidy",),
    files=files(
        clusters__home=many(
            config_map("a"),
            obj("batch/v1beta1:CronJob", "tidy", "default", spec={"schedule": "@daily"}),
        ),
    ),
)
