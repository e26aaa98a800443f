"""Where the releases that elysium uses keep their files and checksums.

From each project's own release page or download site; the layout is what a
mirror directory must have, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib import parse

from provision import errors

Archive = Literal["", "zip", "tar.gz"]
ANY = "any"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file of a release.

    `checksums` is the address of the release's checksum file. Where the
    release has none for this file, `unlisted` is True: the first download is
    then trusted as HTTPS brought it, and pinned; it must hold `marks`, or
    something else came. `member` is the file wanted out of an archive.
    """

    url: str
    checksums: str
    archive: Archive = ""
    member: str = ""
    unlisted: bool = False
    marks: bytes = b""

    @property
    def filename(self) -> str:
        """The file's name, as the checksum file has it."""
        return parse.unquote(self.url.rsplit("/", 1)[1])


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A release of something: `assets` by architecture (``amd64``, ``arm64``, ``arm``, ``any``).

    Programs for the computer that elysium runs on have its system in front: ``linux-amd64``.
    """

    name: str
    version: str
    assets: Mapping[str, Asset]

    def asset(self, arch: str) -> Asset:
        """Return the file for `arch`. Raises `errors.ArtifactError` where there is none."""
        found = self.assets.get(arch) or self.assets.get(ANY)
        if found is None:
            raise errors.ArtifactError(
                f"{self.name} {self.version} has no file for {arch}",
                hint=f"it is published for {', '.join(sorted(self.assets))}",
            )
        return found

    def key(self, arch: str) -> str:
        """Return the name of its pin: ``k3s/v1.36.3+k3s1/amd64``."""
        return f"{self.name}/{self.version}/{arch if arch in self.assets else ANY}"


def k3s(version: str) -> Artifact:
    """Return the k3s binary of `version` (``v1.36.3+k3s1``)."""
    base = _github("k3s-io/k3s", version)
    names = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf"}
    return Artifact(
        name="k3s",
        version=version,
        assets={
            arch: Asset(url=base + name, checksums=f"{base}sha256sum-{arch}.txt")
            for arch, name in names.items()
        },
    )


def k3s_images(version: str) -> Artifact:
    """Return the archive of the container images that k3s `version` itself uses.

    From docs.k3s.io, "Air-Gap Install"; it is listed in the checksum file of the binary.
    """
    base = _github("k3s-io/k3s", version)
    return Artifact(
        name="k3s-images",
        version=version,
        assets={
            arch: Asset(
                url=f"{base}k3s-airgap-images-{arch}.tar.zst",
                checksums=f"{base}sha256sum-{arch}.txt",
            )
            for arch in ("amd64", "arm64", "arm")
        },
    )


def flux(version: str) -> Artifact:
    """Return the Flux CLI of `version` (``v2.9.3``) for Linux."""
    base, plain = _github("fluxcd/flux2", version), version.removeprefix("v")
    return Artifact(
        name="flux",
        version=version,
        assets={
            arch: Asset(
                url=f"{base}flux_{plain}_linux_{arch}.tar.gz",
                checksums=f"{base}flux_{plain}_checksums.txt",
                archive="tar.gz",
                member="flux",
            )
            for arch in ("amd64", "arm64", "arm")
        },
    )


def rclone(version: str) -> Artifact:
    """Return the rclone binary of `version` (``v1.75.2``) for Linux."""
    base = f"https://downloads.rclone.org/{version}/"
    names = {"amd64": "amd64", "arm64": "arm64", "arm": "arm-v7"}
    return Artifact(
        name="rclone",
        version=version,
        assets={
            arch: Asset(
                url=f"{base}rclone-{version}-linux-{name}.zip",
                checksums=f"{base}SHA256SUMS",
                archive="zip",
                member=f"rclone-{version}-linux-{name}/rclone",
            )
            for arch, name in names.items()
        },
    )


def sealed_secrets(version: str) -> Artifact:
    """Return the Sealed Secrets controller's manifest (it holds the CRD) of `version`.

    The release's checksum file covers its archives only (.goreleaser.yml of
    the project adds the manifest as an extra file), hence `unlisted`.
    """
    plain = version.removeprefix("v")
    base = _github("bitnami-labs/sealed-secrets", f"v{plain}")
    asset = Asset(
        url=f"{base}controller.yaml",
        checksums=f"{base}sealed-secrets_{plain}_checksums.txt",
        unlisted=True,
        marks=b"kind: CustomResourceDefinition",
    )
    return Artifact(name="sealed-secrets", version=f"v{plain}", assets={ANY: asset})


def pulumi(version: str) -> Artifact:
    """Return the ``pulumi`` program of `version` (``v3.272.0``), by system: ``linux-amd64``."""
    base, plain = _github("pulumi/pulumi", version), version.removeprefix("v")
    names = {"amd64": "x64", "arm64": "arm64"}
    return Artifact(
        name="pulumi",
        version=version,
        assets={
            f"{system}-{arch}": Asset(
                url=f"{base}pulumi-{version}-{system}-{name}.tar.gz",
                checksums=f"{base}pulumi-{plain}-checksums.txt",
                archive="tar.gz",
                member="pulumi/pulumi",
            )
            for system in ("linux", "darwin")
            for arch, name in names.items()
        },
    )


def pulumi_kubernetes(version: str) -> Artifact:
    """Return Pulumi's ``kubernetes`` plugin of `version` (``v4.34.2``), by system."""
    base, plain = _github("pulumi/pulumi-kubernetes", version), version.removeprefix("v")
    return Artifact(
        name="pulumi-kubernetes",
        version=version,
        assets={
            f"{system}-{arch}": Asset(
                url=f"{base}pulumi-resource-kubernetes-{version}-{system}-{arch}.tar.gz",
                checksums=f"{base}pulumi-kubernetes_{plain}_checksums.txt",
                archive="tar.gz",
                member="pulumi-resource-kubernetes",
            )
            for system in ("linux", "darwin")
            for arch in ("amd64", "arm64")
        },
    )


def _github(repository: str, tag: str) -> str:
    return f"https://github.com/{repository}/releases/download/{parse.quote(tag)}/"
