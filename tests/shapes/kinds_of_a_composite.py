"""Crossplane: a CompositeResourceDefinition brings one kind, and another one is used."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="Crossplane: a CompositeResourceDefinition brings one kind, and another one is used",
    expect="cannot come up",
    reason="it defines the kinds that it names and no other",
    names=("CustomResourceDefinition XQueue.example.org",),
    files=files(
        clusters__home=many(
            kustomization("crossplane", "./crossplane", wait=True),
            kustomization("types", "./types", "crossplane", wait=True),
            kustomization("use", "./use", "types"),
        ),
        crossplane=many(
            namespace("crossplane-system"),
            helm_repository("charts"),
            helm_release("crossplane", "crossplane-system"),
        ),
        types=custom(
            "apiextensions.crossplane.io/v1:CompositeResourceDefinition",
            "xbuckets.example.org",
            group="example.org",
            names={"kind": "XBucket"},
        ),
        use=custom("example.org/v1:XQueue", "q"),
    ),
    brings={
        "crossplane-system/crossplane": crd(
            "apiextensions.crossplane.io/v1:CompositeResourceDefinition", cluster=True
        )
    },
    makes={
        "CompositeResourceDefinition /xbuckets.example.org": crd(
            "example.org/v1:XBucket", cluster=True
        )
    },
)
