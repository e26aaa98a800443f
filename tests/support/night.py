"""The commands of the page for the night, as they stand there, and what its tests share."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex

from provision.sandbox import tryout
from tests.support import lab as labs

PHRASE = {"ELYSIUM_BACKUP_PASSPHRASE": "correct horse battery"}
ALL = {"flux-system", "infra-controllers", "infra-configs", "apps"}
"""The Kustomizations of the repository."""
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "recovery.md"


def commands() -> list[tuple[str, ...]]:
    """Return the arguments of every ``elysium`` command in the page's blocks, in order."""
    found: list[tuple[str, ...]] = []
    inside = False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = line == "```sh"
        elif inside:
            program, *arguments = shlex.split(line, comments=True)
            assert program == "elysium", line
            found.append(tuple(arguments))
    return found


def secrets(lab: labs.Lab) -> dict[str, object]:
    """Return what every Secret of the cluster holds, but for those that a new cluster makes anew.

    k3s makes `k3s-serving` for the address of a node. Helm notes its releases, with the time.
    """
    found = lab.kubectl("get", "secrets", "-A")["items"]
    names = {
        f"{each['metadata']['namespace']}/{each['metadata']['name']}": each.get("data")
        for each in found
        if each.get("type") != "helm.sh/release.v1"
    }
    of_node = (".node-password.", "/k3s-serving")
    return {name: data for name, data in names.items() if not any(one in name for one in of_node)}


def elsewhere(lab: labs.Lab, folder: pathlib.Path) -> labs.Lab:
    """Return a new folder of an operator who lost the old one, with its passphrase."""
    (folder / "home").mkdir()
    environ = {name: value for name, value in lab.environ.items() if "PASSPHRASE" not in name}
    environ["HOME"] = str(folder / "home")
    return dataclasses.replace(lab, folder=folder, environ=environ)


def trusting(lab: labs.Lab) -> tuple[str, ...]:
    """Return the options that confirm what a backup of the lab names."""
    settings, node = tryout.settings(lab.sandbox), lab.sandbox.node
    named = ("github.baseUrl", "github.caFile", "github.tokenFile", "artifacts.mirror")
    named += ("artifacts.pins", "media.remote.endpoint")
    values = [settings[key] for key in named if key in settings]
    values += [each for key, each in settings.items() if key == "k3s.proxy.https"]
    values.append(str(node.identity_file))
    return tuple(word for value in values for word in ("--trust-address", value))


def unchanged(lab: labs.Lab) -> None:
    """See that there is nothing to do."""
    lab.elysium("preview", "--expect-no-changes").ok()
