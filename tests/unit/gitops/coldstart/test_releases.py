"""Helm releases as the simulation sees them."""

from __future__ import annotations

from collections.abc import Iterator

from provision.gitops import documents
from provision.gitops.coldstart import releases


class Asked(dict[documents.Place, documents.Document]):
    """Objects that may be asked for by place only: a look through all of them is quadratic."""

    def __iter__(self) -> Iterator[documents.Place]:
        raise AssertionError("all objects are looked through for one release")

    items = values = keys = __iter__


def test_a_release_looks_up_its_source_and_nothing_else() -> None:
    place = ("OCIRepository", "media", "plex")
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": "plex", "namespace": "media"},
        "spec": {"url": "oci://registry.example/charts/plex-server"},
    }
    release = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "tv", "namespace": "media"},
        "spec": {"chartRef": {"kind": "OCIRepository", "name": "plex"}},
    }
    objects = Asked({place: documents.Document(obj=source, file="a.yaml", line=1)})
    read = releases.read(documents.Document(obj=release, file="b.yaml", line=1), objects)
    assert read.chart == "plex-server"
    assert read.source == place
