"""Home-ops: SOPS, and the keys are not given."""

from __future__ import annotations

from tests.shapes import Shape
from tests.shapes.common import DECRYPTION
from tests.support.gitopsdocs import config_map, files, kustomization

SHAPE = Shape(
    about="home-ops: SOPS, and the keys are not given",
    expect="cannot come up",
    reason="nothing makes the Secret of spec.decryption",
    names=("Secret flux-system/sops-age",),
    files=files(
        clusters__home=kustomization("apps", "./apps", decryption=DECRYPTION),
        apps=config_map("a"),
    ),
)
