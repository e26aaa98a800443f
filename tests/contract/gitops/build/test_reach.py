"""What the analysis of a hostile repository reads and contacts, seen from outside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import shapes
from tests.shapes import helm_release, helm_repository
from tests.support import escapes
from tests.support.gitopsdocs import config_map, kustomization, many, source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace and namespaces are Linux'")

ANALYSE = """\
import json, sys
from provision.gitops.build import discovery, isolation
from provision.gitops.tree import Tree
if sys.argv[1] == "text":
    isolation._may_confine = lambda: False
for name, files in json.load(sys.stdin).items():
    found = discovery.discover(Tree.of(files), "app")
    print(name, len(found.problems), found.unconfined)
"""
URL = "http://198.51.100.7:8080"
"""An address of documentation: nobody answers there."""
UNIX = re.compile(r"connect\(\d+, \{sa_family=AF_(?!UNIX)")


@pytest.mark.parametrize("protection", ["namespaces", "text"])
def test_no_file_outside_is_opened_and_nothing_is_contacted(
    tmp_path: Path, protection: str
) -> None:
    assert shutil.which("strace"), "make strace"
    outside = tmp_path / "outside"
    for name, text in escapes.OUTSIDE.items():
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(text)
    trees = {one.name: one.at(str(outside), URL) for one in escapes.all_of()}
    trees["remote"] = {
        "app/kustomization.yaml": "resources: [mine.yaml, 'https://github.com/me/x?ref=v1']\n",
        "app/mine.yaml": escapes.MINE,
    }
    log = tmp_path / "log"
    trace = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,connect,execve"]
    done = subprocess.run(
        [*trace, "-o", log, sys.executable, "-c", ANALYSE, protection],
        input=json.dumps(trees),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len({*trees})
    assert [line for line in lines[:-1] if line.split()[1] == "0"] == []
    traced = log.read_text(errors="replace")
    assert "kubectl" in traced
    assert str(outside) not in traced
    assert UNIX.findall(traced) == []
    programs = set(re.findall(r'execve\("([^"]+)"', traced))
    assert {Path(one).name for one in programs if "git" in Path(one).name} == set()


def test_it_is_analysed_in_an_empty_network_too(tmp_path: Path) -> None:
    files = {"app/kustomization.yaml": "resources: [mine.yaml]\n", "app/mine.yaml": escapes.MINE}
    enter = ["unshare", "-rn"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("the kernel gives no namespaces here")
    done = subprocess.run(
        [*enter, sys.executable, "-c", ANALYSE, "namespaces"],
        input=json.dumps({"own": files}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["own", "0"], done.stderr


WHOLE = (
    "remote_base",
    "platform_from_oci",
    "chart_in_the_repository",
    "private_charts",
    "external_secrets",
    "tenants",
    "d2_fleet",
)
"""Shapes with something that lies elsewhere: bases, sources, charts, registries, stores."""
SENT = re.compile(r"(?:connect|sendto|sendmsg)\(\d+, .*?sa_family=AF_(?!UNIX|NETLINK)")


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory) -> dict[str, Path]:
    """The shapes as folders, with a base of every form and charts that lie elsewhere."""
    made = {name: shape.files for name, shape in shapes.load().items() if name in WHOLE}
    assert set(made) == set(WHOLE)
    remote = "\n".join(f"  - {url}" for url in ELSEWHERE)
    made["everything"] = {
        "clusters/home/kustomization.yaml": f"resources:\n  - all.yaml\n{remote}\n",
        "clusters/home/all.yaml": many(
            config_map("a"),
            source("git", f"{URL}/git"),
            source("oci", "oci://registry.example.org/x", "OCIRepository"),
            helm_repository("charts", url=f"{URL}/charts"),
            helm_repository("ocis", url="oci://registry.example.org/charts", type="oci"),
            helm_release("remote", "flux-system", chart="podinfo"),
            kustomization("git", "./", source="git"),
            kustomization("oci", "./", source="oci", kind="OCIRepository"),
        ),
        "charts/x/Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n"
        f"dependencies: [{{name: y, version: 1.x, repository: {URL}/charts}}]\n",
    }
    folders: dict[str, Path] = {}
    for name, files in made.items():
        folders[name] = tmp_path_factory.mktemp(name)
        for path, text in files.items():
            target = folders[name] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    return folders


ELSEWHERE = (
    f"{URL}/base.yaml",
    "https://github.com/me/repo//folder?ref=v1",
    "git@github.com:me/repo.git//folder?ref=v1",
    "github.com/me/other/folder?ref=main",
)


def command(folder: Path) -> list[str]:
    elysium = Path(sys.executable).with_name("elysium")
    return [str(elysium), "gitops", "cold-start", str(folder), "--format", "json"]


@pytest.mark.parametrize("name", [*WHOLE, "everything"])
def test_the_whole_command_contacts_nothing(
    tmp_path: Path, checkouts: dict[str, Path], name: str
) -> None:
    """Seen from outside, and with the same result where there is no network at all."""
    assert shutil.which("strace"), "make strace"
    log = tmp_path / "log"
    trace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,execve", "-o", str(log)]
    seen = subprocess.run(
        [*trace, *command(checkouts[name])], capture_output=True, text=True, check=False
    )
    assert seen.returncode in (0, 3), seen.stderr
    traced = log.read_text(errors="replace")
    assert SENT.findall(traced) == []
    programs = {Path(one).name for one in re.findall(r'execve\("([^"]+)"', traced)}
    assert not programs & {"git", "ssh", "curl", "wget", "helm"}
    verdict = json.loads(seen.stdout)
    assert verdict["kustomizations"]
    enter = ["unshare", "-rn"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("the kernel gives no namespaces here")
    alone = subprocess.run(
        [*enter, *command(checkouts[name])], capture_output=True, text=True, check=False
    )
    assert alone.returncode == seen.returncode, alone.stderr
    assert json.loads(alone.stdout) == verdict
