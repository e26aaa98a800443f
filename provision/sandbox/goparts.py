"""The Go programs of the sandbox: what is built, from which module, with which flags.

Pure: the list, the keys of the cache and the command lines. `build` runs them.
The versions are those of the modules' ``go.mod`` below ``golang/``, and of
nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

GOLANG = Path(__file__).parent / "golang"
FLAGS = ("-trimpath", "-buildvcs=false")
FLUX_APIS = (
    *("source-controller", "kustomize-controller", "helm-controller"),
    *("notification-controller", "image-reflector-controller", "image-automation-controller"),
)
SEALED_SECRETS_API = "github.com/bitnami-labs/sealed-secrets/pkg/apis/sealedsecrets/v1alpha1"


@dataclass(frozen=True, kw_only=True)
class Program:
    """One binary: its file name, and the package it is built from.

    A program of ours `around` others takes the version of their module, and is
    each of `links` when it is called by that name.
    """

    name: str
    package: str
    around: str = field(default="", repr=False)
    links: tuple[str, ...] = field(default=(), repr=False)

    @property
    def built(self) -> str:
        """The file name that ``go build`` gives it; that of a module's root is its last part."""
        return self.name if self.package == "." else self.package.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Set:
    """Programs that are built and cached together, from the module in `module`.

    `sources` are our own files that go into them, relative to the module.
    """

    name: str
    module: str
    programs: tuple[Program, ...]
    sources: tuple[str, ...] = ()
    compiler: tuple[str, ...] = ("all=-l",)
    """The compiler's flags, by packages, the last that match counting. Inlining is a third of a
    compilation's work, and little of what runs."""
    lane: str = "kubernetes"
    """Sets of one lane are built one after another, and share what was compiled; lanes are built
    beside each other, for one alone leaves a processor idle while its programs are linked."""

    @property
    def folder(self) -> Path:
        """Where the module is."""
        return GOLANG / self.module


KUBERNETES = Set(
    name="kubernetes",
    module=".",
    programs=(
        Program(
            name="kubernetes",
            package="./cmd/kubernetes",
            around="k8s.io/kubernetes/cmd",
            links=(
                *("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler"),
                "kubelet",
            ),
        ),
        Program(name="placeholder", package="./cmd/placeholder"),
        Program(
            name="sealed-secrets-controller",
            package="github.com/bitnami-labs/sealed-secrets/cmd/controller",
        ),
        Program(name="kubeseal", package="github.com/bitnami-labs/sealed-secrets/cmd/kubeseal"),
    ),
    sources=("cmd/kubernetes/*", "cmd/placeholder/*"),
)

STANDIN = Set(
    name="standin",
    module=".",
    programs=(Program(name="standin", package="./cmd/standin"),),
    sources=("cmd/standin/**/*",),
)
COREDNS = Set(
    name="coredns",
    module="coredns",
    programs=(Program(name="coredns", package="."),),
    sources=("main.go",),
)
ADDONS = Set(
    name="addons",
    module="addons",
    programs=(
        Program(name="local-path-provisioner", package="github.com/rancher/local-path-provisioner"),
        Program(name="metrics-server", package="sigs.k8s.io/metrics-server/cmd/metrics-server"),
    ),
)
KINE = Set(
    name="kine",
    module="kine",
    programs=(Program(name="kine", package="github.com/k3s-io/kine"),),
    # SQLite is C turned into Go there: many small functions, hot ones.
    compiler=("all=-l", "modernc.org/...="),
    lane="others",
)
CRDS = Set(
    name="crds",
    module="crds",
    lane="others",
    programs=(
        Program(name="controller-gen", package="sigs.k8s.io/controller-tools/cmd/controller-gen"),
    ),
)
FLUX = Set(
    name="flux",
    module="flux",
    # After the definitions: both use the same release of Kubernetes' libraries.
    lane="others",
    programs=(
        Program(name="source-controller", package="github.com/fluxcd/source-controller"),
        Program(name="kustomize-controller", package="github.com/fluxcd/kustomize-controller"),
    ),
)
HELM = Set(
    name="helm",
    module="flux",
    lane="others",
    programs=(Program(name="helm-controller", package="./cmd/helm-controller"),),
    sources=("cmd/**/*", "internal/**/*"),
)
SETS = (KUBERNETES, STANDIN, COREDNS, ADDONS, KINE, CRDS, FLUX, HELM)


def lanes() -> dict[str, tuple[Set, ...]]:
    """Return the sets of each lane, in the order of `SETS`."""
    names = dict.fromkeys(part.lane for part in SETS)
    return {name: tuple(part for part in SETS if part.lane == name) for name in names}


def version_of(module: str, go_mod: str) -> str:
    """Return the version of `module` (or of the module that holds that package) in `go_mod`.

    Empty when it is not there.
    """
    versions = dict(re.findall(r"^\s*(?:require\s+)?([^\s/]+(?:/\S+)*)\s+(v\S+)", go_mod, re.M))
    parts = module.split("/")
    for end in range(len(parts), 1, -1):
        if version := versions.get("/".join(parts[:end])):
            return version
    return ""


def go_version_of(go_mod: str) -> tuple[int, ...]:
    """Return the version of Go that `go_mod` asks for, as numbers."""
    match = re.search(r"^go\s+([0-9.]+)", go_mod, re.M)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def linker_flags(package: str, go_mod: str) -> str:
    """Return the linker flags for `package`: no symbols, and the version it answers with.

    Without the version the API server calls itself v0.0.0-master.
    """
    version = version_of(package, go_mod)
    if package.startswith("k8s.io/kubernetes/") and version:
        major, minor = version.removeprefix("v").split(".")[:2]
        base, client = "k8s.io/component-base/version", "k8s.io/client-go/pkg/version"
        values = {
            f"{base}.gitVersion": version,
            f"{client}.gitVersion": version,
            f"{base}.gitMajor": major,
            f"{base}.gitMinor": minor,
            f"{base}.gitTreeState": "clean",
        }
    else:
        # Set by the linker where the program has such a variable, else passed over.
        values = {"main.VERSION": version} if version else {}
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in values.items())])


def build_arguments(part: Set, go_mod: str, target: Path) -> tuple[str, ...]:
    """Return what follows ``go`` to build the programs of `part` into the folder `target`.

    One call for all: it links one while it compiles the next. The files are
    named after the packages (`Program.built`).
    """
    packages = [program.package for program in part.programs]
    compiler = (f"-gcflags={flags}" for flags in part.compiler)
    linker = (
        f"-ldflags={program.package}={linker_flags(program.around or program.package, go_mod)}"
        for program in part.programs
    )
    return ("build", *FLAGS, *compiler, *linker, "-o", f"{target}/", *packages)


def crd_arguments(target: Path) -> tuple[tuple[str, ...], ...]:
    """Return the calls of controller-gen that write all definitions into `target`.

    Sealed Secrets embed the metadata of the Secret they become; Flux's do not.
    """
    output = f"output:crd:dir={target}"
    flux = (f"paths=github.com/fluxcd/{name}/api/..." for name in FLUX_APIS)
    return (
        ("crd", *flux, output),
        ("crd:generateEmbeddedObjectMeta=true", f"paths={SEALED_SECRETS_API}", output),
    )


def key_of(part: Set, goarch: str) -> str:
    """Return what names the built `part` in the cache.

    Made from its module's pins, flags and packages, and from those of our own
    sources that go into it: a change of the stand-ins rebuilds nothing else.
    """
    digest = hashlib.sha256()
    files: Iterable[Path] = [part.folder / "go.mod", part.folder / "go.sum"]
    for pattern in part.sources:
        files = [*files, *sorted(path for path in part.folder.glob(pattern) if path.is_file())]
    for path in files:
        if path.name.endswith("_test.go"):
            continue
        content = path.read_bytes()
        digest.update(f"{path.relative_to(part.folder)} {len(content)}\n".encode())
        digest.update(content)
    go_mod = (part.folder / "go.mod").read_text()
    digest.update(repr((build_arguments(part, go_mod, Path()), part.programs)).encode())
    for program in part.programs:
        digest.update("".join(program.links).encode())
    if part is CRDS:
        digest.update(repr(crd_arguments(Path())).encode())
    digest.update(goarch.encode())
    return digest.hexdigest()[:16]
