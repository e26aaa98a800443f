"""Crossplane: a Provider package brings the kinds that come after it."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="Crossplane: a Provider package brings the kinds that come after it",
    expect="may come up",
    reason="what a package defines is not seen",
    names=("CustomResourceDefinition Bucket.s3.aws.upbound.io",),
    files=files(
        clusters__home=many(
            kustomization("crossplane", "./crossplane", wait=True),
            kustomization("providers", "./providers", "crossplane", wait=True),
            kustomization("buckets", "./buckets", "providers"),
        ),
        crossplane=many(
            namespace("crossplane-system"),
            helm_repository("charts"),
            helm_release("crossplane", "crossplane-system"),
        ),
        providers=custom(
            "pkg.crossplane.io/v1:Provider",
            "provider-aws-s3",
            package="registry.example.org/provider-aws-s3:v1",
        ),
        buckets=custom("s3.aws.upbound.io/v1beta1:Bucket", "media"),
    ),
    brings={"crossplane-system/crossplane": crd("pkg.crossplane.io/v1:Provider", cluster=True)},
    makes={"Provider /provider-aws-s3": crd("s3.aws.upbound.io/v1beta1:Bucket", cluster=True)},
)
