"""What is built, with which flags, under which key."""

import dataclasses
import re
from pathlib import Path

import pytest

from provision.sandbox import goparts

GO_MOD = """module example.invalid/box

go 1.26.5

require (
	github.com/bitnami-labs/sealed-secrets v0.27.1
	github.com/fluxcd/source-controller v1.9.6
	k8s.io/kubernetes v1.34.4 // indirect
)
require k8s.io/single v0.1.0
"""


def required(go_mod: str) -> dict[str, str]:
    """Return the version of each module that `go_mod` asks for, and puts in its place."""
    asked = dict(re.findall(r"^\s*(?:require )?(\S+) (v\S+)(?: // indirect)?$", go_mod, re.M))
    replaced = dict(re.findall(r"^\s*(?:replace )?(\S+) => \S+ (v\S+)$", go_mod, re.M))
    return {name: replaced.get(name, version) for name, version in asked.items()}


def test_what_the_addons_share_with_kubernetes_is_compiled_once() -> None:
    kubernetes = required((goparts.KUBERNETES.folder / "go.mod").read_text())
    addons = required((goparts.ADDONS.folder / "go.mod").read_text())
    shared = kubernetes.keys() & addons.keys()
    assert "k8s.io/client-go" in shared
    assert {name: addons[name] for name in shared} == {name: kubernetes[name] for name in shared}
    assert goparts.ADDONS.compiler == goparts.KUBERNETES.compiler
    assert goparts.ADDONS.lane == goparts.KUBERNETES.lane


def test_the_addons_run_in_the_images_of_their_versions() -> None:
    go_mod = (goparts.ADDONS.folder / "go.mod").read_text()
    for program in goparts.ADDONS.programs:
        version = goparts.version_of(program.package, go_mod)
        manifests = goparts.GOLANG.glob("cmd/standin/internal/k3s/*.yaml")
        assert any(f"{program.name}:{version}\n" in path.read_text() for path in manifests)


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("k8s.io/kubernetes/cmd/kube-apiserver", "v1.34.4"),
        ("github.com/bitnami-labs/sealed-secrets/cmd/kubeseal", "v0.27.1"),
        ("github.com/fluxcd/source-controller", "v1.9.6"),
        ("k8s.io/single", "v0.1.0"),
        ("k8s.io/other", ""),
        ("./cmd/standin", ""),
    ],
)
def test_the_version_is_that_of_the_module_that_holds_the_package(
    package: str, version: str
) -> None:
    assert goparts.version_of(package, GO_MOD) == version


def test_the_go_version_is_read_as_numbers() -> None:
    assert goparts.go_version_of(GO_MOD) == (1, 26, 5)
    assert goparts.go_version_of("module x\n\ngo 1.9\n") < (1, 26)


def test_kubernetes_is_told_its_version_and_others_theirs() -> None:
    flags = goparts.linker_flags("k8s.io/kubernetes/cmd/kube-apiserver", GO_MOD)
    assert "-X k8s.io/component-base/version.gitVersion=v1.34.4" in flags
    assert "-X k8s.io/client-go/pkg/version.gitVersion=v1.34.4" in flags
    assert "-X k8s.io/component-base/version.gitMinor=34" in flags
    other = goparts.linker_flags("github.com/bitnami-labs/sealed-secrets/cmd/controller", GO_MOD)
    assert other == "-s -w -X main.VERSION=v0.27.1"
    assert goparts.linker_flags("./cmd/standin", GO_MOD) == "-s -w"


def test_what_shares_a_module_is_compiled_with_the_same_flags() -> None:
    """Else the stand-in's libraries are compiled again."""
    assert goparts.STANDIN.module == goparts.KUBERNETES.module
    assert goparts.STANDIN.compiler == goparts.KUBERNETES.compiler
    assert goparts.HELM.module == goparts.FLUX.module
    assert goparts.HELM.compiler == goparts.FLUX.compiler
    assert goparts.lanes()[goparts.STANDIN.lane] == (
        *(goparts.KUBERNETES, goparts.STANDIN, goparts.COREDNS, goparts.ADDONS),
    )


def test_every_pinned_program_has_a_version() -> None:
    for part in (goparts.KUBERNETES, goparts.KINE, goparts.CRDS, goparts.FLUX):
        go_mod = (part.folder / "go.mod").read_text()
        for program in part.programs:
            if not program.package.startswith("./"):
                version = goparts.version_of(program.package, go_mod)
                assert version.startswith("v"), program.name


def test_one_program_around_kubernetes_takes_its_version() -> None:
    arguments = goparts.build_arguments(goparts.KUBERNETES, GO_MOD, Path("/there"))
    (flags,) = (each for each in arguments if each.startswith("-ldflags=./cmd/kubernetes="))
    assert "version.gitVersion=v1.34.4" in flags


def test_another_name_for_a_program_changes_the_key(module: Path) -> None:
    (first, *others) = goparts.KUBERNETES.programs
    renamed = dataclasses.replace(first, links=(*first.links, "kubectl"))
    other = dataclasses.replace(goparts.KUBERNETES, programs=(renamed, *others))
    assert module.exists()
    assert goparts.key_of(other, "amd64") != goparts.key_of(goparts.KUBERNETES, "amd64")


@pytest.mark.parametrize("program", goparts.FLUX.programs, ids=lambda program: program.name)
def test_the_flux_controllers_are_of_the_release_that_is_installed(
    program: goparts.Program,
) -> None:
    """Their images in the stand-in's manifest, and the API that the definitions come from."""
    built = goparts.version_of(program.package, (goparts.FLUX.folder / "go.mod").read_text())
    manifest = goparts.GOLANG / "cmd/standin/internal/fluxcli/manifest.go"
    assert re.search(rf'"{program.name}": +"{built}"', manifest.read_text())
    definitions = (goparts.CRDS.folder / "go.mod").read_text()
    assert goparts.version_of(f"{program.package}/api", definitions) == built


def test_what_flux_and_its_definitions_share_is_compiled_once() -> None:
    """The same release of the libraries and the same flags, one after the other."""
    flux, definitions = (
        (part.folder / "go.mod").read_text() for part in (goparts.FLUX, goparts.CRDS)
    )
    for module in ("k8s.io/client-go", "k8s.io/apimachinery", "sigs.k8s.io/controller-runtime"):
        assert goparts.version_of(module, flux) == goparts.version_of(module, definitions)
    assert goparts.FLUX.compiler == goparts.CRDS.compiler
    assert goparts.FLUX.lane == goparts.CRDS.lane


@pytest.mark.parametrize("part", goparts.SETS, ids=lambda part: part.name)
def test_no_lock_file_names_a_registry(part: goparts.Set) -> None:
    for name in ("go.mod", "go.sum"):
        text = (part.folder / name).read_text()
        assert not re.search(r"https?://|\bproxy\.", text)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(goparts, "GOLANG", tmp_path)
    (tmp_path / "go.mod").write_text(GO_MOD)
    (tmp_path / "go.sum").write_text("sum\n")
    (tmp_path / "cmd/standin/internal").mkdir(parents=True)
    (tmp_path / "cmd/standin/main.go").write_text("package main\n")
    return tmp_path


def test_a_change_of_the_stand_ins_changes_only_their_key(module: Path) -> None:
    before = {part.name: goparts.key_of(part, "amd64") for part in _main_module()}
    (module / "cmd/standin/internal/new.go").write_text("package internal\n")
    after = {part.name: goparts.key_of(part, "amd64") for part in _main_module()}
    assert after["kubernetes"] == before["kubernetes"]
    assert after["standin"] != before["standin"]


def test_a_test_of_the_stand_ins_changes_no_key(module: Path) -> None:
    before = goparts.key_of(goparts.STANDIN, "amd64")
    (module / "cmd/standin/main_test.go").write_text("package main\n")
    assert goparts.key_of(goparts.STANDIN, "amd64") == before


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_a_change_of_the_pins_changes_every_key_of_the_module(module: Path, name: str) -> None:
    before = [goparts.key_of(part, "amd64") for part in _main_module()]
    path = module / name
    path.write_text(path.read_text() + "\n// changed\n")
    after = [goparts.key_of(part, "amd64") for part in _main_module()]
    assert not set(before) & set(after)


def test_the_key_depends_on_programs_and_architecture(module: Path) -> None:
    assert module.exists()
    fewer = dataclasses.replace(goparts.KUBERNETES, programs=goparts.KUBERNETES.programs[1:])
    keys = {
        goparts.key_of(goparts.KUBERNETES, "amd64"),
        goparts.key_of(goparts.KUBERNETES, "arm64"),
        goparts.key_of(fewer, "amd64"),
    }
    assert len(keys) == 3


def test_every_binary_has_a_name_of_its_own() -> None:
    names = [program.name for part in goparts.SETS for program in part.programs]
    assert len(names) == len(set(names))


def _main_module() -> tuple[goparts.Set, ...]:
    return (goparts.KUBERNETES, goparts.STANDIN)
