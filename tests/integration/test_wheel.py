"""The wheel, installed where there is nothing else but what it says it needs."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import provision

ROOT = Path(__file__).parents[2]
HOMELAB = ROOT / "tests" / "fixtures" / "written-by-0.1.0" / "homelab"
PACKAGES = ("provision", "stacks", "templates")

IMPORT_ALL = """
import importlib, pkgutil, sys
for top in sys.argv[1:]:
    package = importlib.import_module(top)
    print(package.__file__)
    for found in pkgutil.walk_packages(package.__path__, f"{top}."):
        if not found.name.endswith(".__main__"):
            print(importlib.import_module(found.name).__file__)
"""
SCAFFOLD = """
import pathlib
from provision.provider.flux import scaffold
for name, text in scaffold.render("kyrion", flux_in_git=False).items():
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
"""
OWN_PROJECT = """
import pathlib
from provision.config_file import program
program.write_own_project(pathlib.Path.cwd())
"""
KEYS = """
from provision.sandbox import azure, goparts
print(*(goparts.key_of(part, "amd64") for part in goparts.SETS), azure.key())
"""


class Installed:
    """An environment with the wheel, and folders with nothing in them."""

    def __init__(self, bin_dir: Path, empty: Path) -> None:
        self.bin = bin_dir
        self.site = next(bin_dir.parent.glob("lib/python3*/site-packages"))
        self.home = empty / "home"
        self.folder = empty / "folder"
        self.home.mkdir(parents=True)
        self.folder.mkdir()

    def __call__(self, program: str, *arguments: str, **environ: str) -> str:
        """Run `program` of the environment in the empty folder; return what it prints."""
        done = subprocess.run(
            [self.bin / program, *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8"} | environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (program, arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def python(self, code: str, *arguments: str) -> str:
        return self("python", "-I", "-c", code, *arguments)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and links to its dependencies; return its ``bin``."""
    root = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True, timeout=60)
    link_dependencies(wheel, root)
    install = ("install", "--quiet", "--no-index", "--no-deps", "--no-compile", str(wheel))
    pip(root, *install)
    return root / "bin"


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Installed:
    return Installed(environment, tmp_path)


def pip(root: Path, *arguments: str) -> None:
    """Run the tests' own pip for the environment `root`, which has none."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(root)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def requirements(lines: list[str], extras: set[str]) -> list[Requirement]:
    """Return those of `lines` that count here with `extras`."""
    every = [Requirement(line) for line in lines]
    return [
        one
        for one in every
        if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in extras | {""})
    ]


def link_dependencies(wheel: Path, root: Path) -> None:
    """Link into `root` what the wheel needs, and what that needs, out of this environment.

    What is here for the tests, the sandbox or the checkout stays out of sight.
    """
    (site,) = root.glob("lib/python3*/site-packages")
    scripts = Path(sysconfig.get_path("scripts")).resolve()
    waiting = requirements(metadata(wheel).get_all("Requires-Dist", []), set())
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        found = importlib.metadata.distribution(wanted.name)
        waiting += requirements(found.requires or [], set(wanted.extras))
        for file in found.files or []:
            place = Path(str(found.locate_file(file))).resolve()
            if place.parent == scripts:
                target = root / "bin" / place.name
            elif file.parts[0] not in ("..", "__pycache__"):
                place = Path(str(found.locate_file(file.parts[0])))
                target = site / place.name
            else:
                continue
            if not target.exists():
                target.symlink_to(place)


def imported(wheel: Path) -> set[str]:
    """Return the top-level names that the wheel's modules import, those of Python left out."""
    names: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if not member.endswith(".py"):
                continue
            for node in ast.walk(ast.parse(archive.read(member))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    names.add(str(node.module).partition(".")[0])
    return names - sys.stdlib_module_names


def test_it_holds_every_file_of_its_packages_and_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    tests = {name for name in files if name.endswith("_test.go")}
    assert tests
    assert held == files - tests
    assert not {name for name in held if re.search(r"(^|/)(tests?|conftest\.py)(/|$)", name)}
    golang = "provision/sandbox/golang"
    assert held > {
        "templates/node/k3s.service.j2",
        "templates/gitops/clusters/__cluster__/kustomization.yaml",
        "provision/gitops/build/kustomize.py",
        "provision/sandbox/azurite/package-lock.json",
        *(
            f"{golang}/{module}go.{end}"
            for module in ("", "addons/", "kine/", "crds/", "flux/")
            for end in ("mod", "sum")
        ),
        f"{golang}/cmd/standin/main.go",
        "provision/sandbox/charts/own/sealed-secrets/templates/controller.yaml",
    }


def test_its_name_is_not_that_of_another_project(wheel: Path) -> None:
    said = metadata(wheel)
    assert said["Name"] == "elysium-homelab"
    assert wheel.name.startswith("elysium_homelab-")


def test_what_it_imports_is_declared(wheel: Path) -> None:
    owners = importlib.metadata.packages_distributions()
    declared = {
        canonicalize_name(one.name)
        for one in requirements(metadata(wheel).get_all("Requires-Dist", []), set())
    }
    undeclared = {
        name
        for name in imported(wheel) - set(PACKAGES)
        if not declared & {canonicalize_name(owner) for owner in owners.get(name, [])}
    }
    assert undeclared == set()


def test_every_module_is_imported_from_there(installed: Installed) -> None:
    pip(installed.bin.parent, "check")
    modules = installed.python(IMPORT_ALL, *PACKAGES).splitlines()
    assert len(modules) > 300
    assert {
        module for module in modules if not Path(module).is_relative_to(installed.site)
    } == set()


def test_the_command(installed: Installed) -> None:
    assert installed("elysium", "--version") == f"elysium, version {provision.__version__}\n"
    assert "From a bare Linux node" in installed("elysium", "--help")
    assert "A throwaway node" in installed("elysium", "sandbox", "--help")
    assert list(installed.home.iterdir()) == list(installed.folder.iterdir()) == []


def test_config_validate(installed: Installed) -> None:
    for file in ("Pulumi.yaml", "Pulumi.kyrion.yaml"):
        shutil.copy(HOMELAB / file, installed.folder)
    unopened = "encrypted values are not checked"
    said = installed("elysium", "config", "validate")
    assert "Pulumi.kyrion.yaml is right" in said and unopened in said
    secret = {"PULUMI_CONFIG_PASSPHRASE": "correct horse battery staple"}
    said = installed("elysium", "config", "validate", **secret)
    assert "Pulumi.kyrion.yaml is right" in said and unopened not in said


def test_a_new_repository_needs_nothing(installed: Installed) -> None:
    """The templates are read, and built with the kubectl of its dependencies."""
    installed.python(SCAFFOLD)
    said = json.loads(installed("elysium", "gitops", "cold-start", "--format", "json"))
    assert len(said["kustomizations"]) == 6
    assert (said["needs"], said["problems"]) == ([], [])


def test_a_project_names_the_installed_program(installed: Installed) -> None:
    installed.python(OWN_PROJECT)
    text = (installed.folder / "Pulumi.yaml").read_text()
    said = dict(re.findall(r"^\s*(?:- )?(main|virtualenv|path): (.+)$", text, re.MULTILINE))
    assert said == {
        "main": str(installed.site / "stacks"),
        "virtualenv": str(installed.bin.parent),
        "path": str(installed.bin),
    }
    assert (installed.site / "stacks" / "__main__.py").is_file()
    assert (installed.bin / "pulumi-resource-elysium").is_file()


def test_the_sandbox_is_that_of_the_checkout(installed: Installed) -> None:
    """The sources that go into its programs, and the lock files, are the same."""
    here = subprocess.run(
        [sys.executable, "-c", KEYS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert installed.python(KEYS) == here.stdout
