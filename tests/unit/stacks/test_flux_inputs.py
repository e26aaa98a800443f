"""Which names of Flux' objects go into the inputs of its resources."""

from __future__ import annotations

import pytest

from provision import config
from stacks.components import flux


@pytest.mark.parametrize(
    ("given", "components", "sync"),
    [
        ({}, {}, {}),
        ({"namespace": "gitops"}, {}, {}),
        (
            {"namespace": "gitops", "source": "home"},
            {"sourceName": "home"},
            {"rootName": "gitops"},
        ),
        ({"kustomization": "cluster"}, {"rootName": "cluster"}, {"rootName": "cluster"}),
        (
            {"source": "home", "kustomization": "home"},
            {"sourceName": "home", "rootName": "home"},
            {},
        ),
    ],
)
def test_only_names_that_are_not_the_default(given, components, sync) -> None:
    """Others would change the inputs of every stack that there is."""
    settings = config.Flux.model_validate(given)
    assert flux._other_names(settings, settings.namespace) == components
    assert flux._other_names(settings, settings.source_name) == sync
