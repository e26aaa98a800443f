"""Which container images the node of a sandbox has, and what is in them.

`ensure` makes them once into the cache, the node sees them at
``/opt/elysium-sandbox/images``: an archive of the images of programs that the
sandbox has, and what its k3s answers with for the images of `PLACEHOLDERS`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from provision.sandbox import build, files, images, rootfs
from provision.sandbox.charts import trust

FLUX_IMAGES = {
    "source-controller": "v1.9.6",
    "kustomize-controller": "v1.9.6",
    "helm-controller": "v1.6.5",
    "notification-controller": "v1.9.4",
    "image-reflector-controller": "v1.2.5",
    "image-automation-controller": "v1.2.5",
}
"""The tags of the controllers in the manifest that the sandbox's flux exports."""
PLACEHOLDERS: Mapping[str, tuple[int, ...]] = {
    "plexinc/pms-docker": (32400,),
    "rancher/mirrored-library-traefik": (8000, 8443, 9100),
}
"""The images of Docker Hub, any tag, that a placeholder runs for, and the ports it listens on."""
_SEALED_SECRETS = "docker.io/bitnami/sealed-secrets-controller:0.27.1"
_GPU_PLUGIN = tuple(f"docker.io/intel/intel-gpu-plugin:{tag}" for tag in ("0.32.0", "0.34.0"))
"""Of the sandbox's chart, and of elysium's own DaemonSet."""
# What the controllers with a program of their own start with; a pod's own arguments follow.
_PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "source-controller": (),
    # A dependency that was not ready is looked at again after as many seconds: someone watches.
    "kustomize-controller": ("--requeue-dependency=2s",),
    "helm-controller": ("--requeue-dependency=2s",),
}
_STOOD_IN = tuple(name for name in FLUX_IMAGES if name not in _PROGRAMS)
_APPLETS = (*("cat", "chmod", "grep", "ls", "mkdir", "mountpoint", "rm", "sh", "sleep", "test"),)
"""Those that pods of the demo and the helper pods of the local-path provisioner call."""


def ensure(parts: build.Parts) -> Path:
    """Return the folder of the images; make it when it is missing.

    `parts` are the built programs.

    Raises:
        errors.ElysiumError: when the root file system is missing and cannot be built.
        OSError: when a file cannot be read or written.
    """
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in (images,))
    authority = trust.file()
    sources += authority.read_bytes() + Path(__file__).read_bytes()
    sources += f"{parts.bin.parent.name} {rootfs.key()}".encode()
    done = files.cache_root() / f"images-{hashlib.sha256(sources).hexdigest()[:16]}"
    with files.locked(files.cache_root() / f"{done.name}.lock", what="packing the images"):
        if not done.exists():
            making = done.with_name(f".building-{done.name}")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(parents=True)
            busybox = rootfs.ensure() / rootfs.K3S_PROGRAMS.lstrip("/") / "busybox"
            images.write(making / "sandbox.tar", of(parts, busybox, authority), build.goarch())
            placeholder = parts.bin / "placeholder"
            images.write_layer(making / "placeholder.layer", {"/placeholder": placeholder})
            (making / "placeholders.json").write_text(json.dumps(placeholders(), indent=2) + "\n")
            making.rename(done)
    return done


def placeholders() -> dict[str, dict[str, object]]:
    """Return the config of each placeholder's image, by repository, as OCI has it."""
    return {
        name: {
            "Entrypoint": ["/placeholder"],
            "Env": [f"PORTS={','.join(map(str, ports))}"],
            "WorkingDir": "/",
        }
        for name, ports in PLACEHOLDERS.items()
    }


def of(parts: build.Parts, busybox: Path, authority: Path) -> Sequence[images.Image]:
    """Return the images of the programs in `parts`, and of `busybox`.

    The controllers of Flux trust the certificate in the file `authority`.
    """
    return (
        images.Image(
            names=("docker.io/rancher/mirrored-pause:3.6",),
            files={"/pause": parts.bin / "placeholder"},
            entrypoint=("/pause",),
        ),
        images.Image(
            names=("docker.io/rancher/mirrored-coredns-coredns:1.13.1",),
            files={"/coredns": parts.bin / "coredns"},
            entrypoint=("/coredns",),
            user="0:0",
        ),
        images.Image(
            names=("docker.io/rancher/local-path-provisioner:v0.0.30",),
            files={"/usr/bin/local-path-provisioner": parts.bin / "local-path-provisioner"},
            entrypoint=("/usr/bin/local-path-provisioner",),
            user="0:0",
        ),
        images.Image(
            names=("docker.io/rancher/mirrored-metrics-server:v0.8.0",),
            files={"/metrics-server": parts.bin / "metrics-server"},
            entrypoint=("/metrics-server",),
        ),
        *(
            images.Image(
                names=(_flux(name),),
                # source-controller fetches charts from a server of the sandbox.
                files={f"/usr/local/bin/{name}": parts.bin / name, trust.NODE: authority},
                entrypoint=(f"/usr/local/bin/{name}", *arguments),
            )
            for name, arguments in _PROGRAMS.items()
        ),
        *(_stood_in(parts, name, _flux(name)) for name in _STOOD_IN),
        images.Image(
            names=(_SEALED_SECRETS,),
            files={"/usr/local/bin/controller": parts.bin / "sealed-secrets-controller"},
            entrypoint=("/usr/local/bin/controller",),
            user="1001:0",
        ),
        _stood_in(parts, "intel_gpu_device_plugin", *_GPU_PLUGIN, user="0:0"),
        images.Image(
            names=(
                "docker.io/library/busybox:1.37",
                "docker.io/rancher/mirrored-library-busybox:1.37.0",
            ),
            files={"/bin/busybox": busybox},
            links={f"/bin/{name}": "busybox" for name in _APPLETS},
            entrypoint=(),
            user="0:0",
        ),
    )


def _flux(name: str) -> str:
    return f"ghcr.io/fluxcd/{name}:{FLUX_IMAGES[name]}"


def _stood_in(
    parts: build.Parts, part: str, *names: str, user: str = "65534:65534"
) -> images.Image:
    """Return the image of those names, in which the stand-in plays `part`."""
    return images.Image(
        names=names,
        files={"/usr/local/bin/standin": parts.bin / "standin"},
        entrypoint=("/usr/local/bin/standin", part),
        user=user,
    )
