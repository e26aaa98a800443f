"""What in a sandbox is real and what is stood in, in words for its user."""

from __future__ import annotations

from provision.sandbox import model, ownimages

_NODE = (
    model.Part(
        part="node",
        what="Debian in systemd-nspawn: systemd as PID 1, OpenSSH, FUSE, autofs, its own network",
    ),
)
_NODE_STOOD_IN = (
    model.Part(
        part="GPU",
        what="device files and sysfs entries of an Intel GPU, with no driver behind them",
    ),
)
_CLUSTER = (
    model.Part(
        part="API server",
        what="kube-apiserver and kube-controller-manager, on SQLite through kine as in k3s",
    ),
    model.Part(part="scheduler", what="kube-scheduler, built from the module of Kubernetes"),
    model.Part(part="kubelet", what="kubelet and kube-proxy, built from the same module"),
    model.Part(
        part="container runtime", what="Debian's containerd and runc, with the plugins of CNI"
    ),
    model.Part(part="CoreDNS", what="CoreDNS with the plugins that k3s uses"),
    model.Part(
        part="local-path-provisioner",
        what="Rancher's, built from its Go module, with helper pods of Debian's busybox",
    ),
    model.Part(part="metrics-server", what="built from its Go module; asks the kubelet"),
    model.Part(part="source-controller", what="Flux's own, built from its Go module"),
    model.Part(part="kustomize-controller", what="Flux's own, built from its Go module"),
    model.Part(part="Sealed Secrets", what="the controller, built from its Go module"),
    model.Part(part="kinds", what="the definitions of Flux and Sealed Secrets, from their modules"),
)
_CLUSTER_STOOD_IN = (
    model.Part(part="k3s", what="a program with the command line, files and unit behaviour of k3s"),
    model.Part(
        part="flannel, network policies",
        what="chains, rules and an interface as k3s makes them; pods have a bridge, no policies",
    ),
    model.Part(
        part="images",
        what="a placeholder that listens and answers, for: " + ", ".join(ownimages.PLACEHOLDERS),
    ),
    model.Part(
        part="Intel's device plugin", what="tells the kubelet of the GPU that the sandbox made"
    ),
    model.Part(
        part="helm-controller",
        what="a small controller over Helm's own SDK, with the API and status of Flux's",
    ),
    model.Part(
        part="image reflector, image automation",
        what="ask the registry for tags, push a newer one through the deploy key",
    ),
    model.Part(part="notification-controller", what="accepts objects and events, sends nothing"),
    model.Part(part="flux", what="the program: prints the manifest of Flux, and nothing else"),
    model.Part(part="registry", what="images that have tags and no content, over plain HTTP"),
)
_SERVICES = (
    model.Part(part="media mount", what="rclone and a FUSE mount over Azure's Blob protocol"),
    model.Part(
        part="git over SSH and HTTPS",
        what="git behind OpenSSH, whose keys are the deploy keys, and git http-backend",
    ),
)
_SERVICES_STOOD_IN = (
    model.Part(part="Azure Blob storage", what="Azurite, the emulator"),
    model.Part(part="GitHub", what="a server of the REST calls that elysium uses"),
)


_OFFICIAL = (
    model.Part(part="k3s", what="the official release, with its own kubelet and scheduler"),
    model.Part(part="Flux", what="the controllers of the official release"),
)


def real(*, whole: bool, official: bool = False) -> tuple[model.Part, ...]:
    """Return what is real: of a whole sandbox, or of one with a node alone.

    `official`: with the releases of k3s and Flux instead of stand-ins.
    """
    cluster = _OFFICIAL if official else _CLUSTER
    return (*_NODE, *cluster, *_SERVICES) if whole else _NODE


def stood_in(*, whole: bool, official: bool = False) -> tuple[model.Part, ...]:
    """Return what is stood in, likewise."""
    cluster = () if official else _CLUSTER_STOOD_IN
    return (*_NODE_STOOD_IN, *cluster, *_SERVICES_STOOD_IN) if whole else _NODE_STOOD_IN
