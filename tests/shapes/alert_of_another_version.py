"""notifications in a version that their kind never had."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support import wrongfields
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="notifications: an Alert in the version that only the Receiver has",
    expect="cannot come up",
    reason="Flux serves Alert as v1beta3 only",
    names=("Alert default/a",),
    files=files(
        clusters__home=kustomization("notify", "./notify"),
        notify=many(
            config_map("a"),
            wrongfields.receiver(),
            wrongfields.alert().replace("/v1beta3", "/v1"),
        ),
    ),
)
