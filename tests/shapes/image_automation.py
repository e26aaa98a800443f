"""Image automation and notifications beside the apps."""

from __future__ import annotations

from tests.shapes import Shape
from tests.shapes.common import IMAGE
from tests.support.gitopsdocs import config_map, custom, files, kustomization, many

SHAPE = Shape(
    about="image automation and notifications beside the apps",
    expect="comes up",
    reason="the components are installed; what they do blocks nothing",
    files=files(
        clusters__home=many(
            kustomization("apps", "./apps"), kustomization("notify", "./notify", "apps")
        ),
        apps=many(
            config_map("a"),
            custom(
                f"{IMAGE}:ImageRepository",
                "web",
                "flux-system",
                image="registry.example.org/web",
                interval="1h",
            ),
            custom(
                f"{IMAGE}:ImagePolicy",
                "web",
                "flux-system",
                imageRepositoryRef={"name": "web"},
                policy={"semver": {"range": "1.x"}},
            ),
            custom(
                f"{IMAGE}:ImageUpdateAutomation",
                "web",
                "flux-system",
                interval="1h",
                sourceRef={"kind": "GitRepository", "name": "flux-system"},
                git={"commit": {"author": {"email": "f@example.org", "name": "f"}}},
            ),
        ),
        notify=many(
            custom(
                "notification.toolkit.fluxcd.io/v1beta3:Provider",
                "chat",
                "flux-system",
                type="slack",
                secretRef={"name": "chat"},
            ),
            custom(
                "notification.toolkit.fluxcd.io/v1beta3:Alert",
                "all",
                "flux-system",
                providerRef={"name": "chat"},
                eventSources=[{"kind": "Kustomization", "name": "*"}],
            ),
        ),
    ),
)
