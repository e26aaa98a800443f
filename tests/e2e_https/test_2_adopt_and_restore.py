"""Clusters that were set up by hand over HTTPS are adopted, lost, restored and destroyed."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

import pytest

from provision.sandbox import renewal, tryout
from provision.sandbox.forge import client
from tests.support import byhand, coldstarts, night
from tests.support import lab as labs

SOURCE = ("get", "gitrepositories.source.toolkit.fluxcd.io/flux-system", "-n", "flux-system")
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, namespace: default}\n"


def repository(lab: labs.Lab, name: str) -> client.Forge:
    """Return a repository of that name with one ConfigMap for the cluster."""
    forge = lab.forge.with_repository(name)
    forge.seed_repository({f"clusters/{lab.cluster}/first.yaml": MAP.replace("NAME", "first")})
    return forge


def folder_for(lab: labs.Lab, folder: pathlib.Path, name: str, **settings: str) -> labs.Lab:
    """Return a new folder in which only `init` was run, and what no node can tell was set."""
    made = dataclasses.replace(lab, folder=folder)
    arguments = [a for a in tryout.init_arguments(made.sandbox, made.cluster) if a != "--gpu"]
    made.elysium(*arguments, "--flux-auth", settings.pop("auth")).ok()
    known = tryout.settings(made.sandbox)
    told = ("github.baseUrl", "github.caFile", "artifacts.mirror", "artifacts.pins")
    for key, value in {
        **{key: known[key] for key in told},
        "github.repository": name,
        **settings,
    }.items():
        made.elysium("config", "set", key, value).ok()
    return made


def emptied(lab: labs.Lab) -> None:
    coldstarts.emptied(lab)
    assert lab.forge.deploy_keys() == []


def seen(lab: labs.Lab, forge: client.Forge) -> dict[str, object]:
    """Return all that an adoption must leave alone."""
    secret = lab.kubectl("get", "secret", "-n", "flux-system", "flux-system")
    return {
        "files": labs.files_beside_the_cluster(lab),
        "k3s": lab.on_node("systemctl show -p ActiveEnterTimestampMonotonic,MainPID k3s"),
        "secret": secret["metadata"]["resourceVersion"],
        "source": lab.kubectl(*SOURCE)["metadata"]["generation"],
        "head": forge.head(),
        "keys": forge.deploy_keys(),
    }


def adopted(lab: labs.Lab, forge: client.Forge) -> None:
    """Adopt, and see that nothing of what is there was changed."""
    before = seen(lab, forge)
    lab.elysium("adopt", "--yes").ok()
    assert seen(lab, forge) == before
    lab.elysium("preview", "--expect-no-changes").ok()
    assert lab.elysium("status").ok().status == 0


def restored(
    lab: labs.Lab,
    forge: client.Forge,
    kept: pathlib.Path,
    folder: pathlib.Path,
    named: tuple[str, ...],
) -> labs.Lab:
    """Restore a backup on an empty node, from an empty folder; return that folder's lab.

    `named` is what the backup names besides what every one of the lab names: it is refused first.
    """
    node = lab.sandbox.node
    fresh = night.elsewhere(lab, folder)
    command = ["restore", str(kept), "--host", node.host, "--host-key", node.host_key, "--yes"]
    command += night.trusting(lab)
    head = forge.head()
    refused = fresh.elysium(*command, environ=night.PHRASE)
    assert refused.status != 0
    assert all(one in refused.stderr for one in named)
    trust = [word for one in named for word in ("--trust-address", one)]
    fresh.elysium(*command, *trust, environ=night.PHRASE).ok()
    assert forge.head() == head
    assert forge.deploy_keys() == []
    forge.commit_files({f"clusters/{lab.cluster}/later.yaml": MAP.replace("NAME", "later")})
    coldstarts.until(
        lambda: forge.head() in str(lab.kubectl(*SOURCE)["status"]["artifact"]["revision"]),
        "Flux has the commit after the restore",
    )
    night.unchanged(fresh)
    return fresh


@pytest.fixture(scope="module")
def bare(lab: labs.Lab) -> labs.Lab:
    """The node without a cluster. Alone, this file starts on a bare node; else it is emptied."""
    if lab.on_node("test -e /usr/local/bin/k3s || echo bare").strip() != "bare":
        coldstarts.emptied(lab)
    return lab


def backup(lab: labs.Lab, tmp_path: pathlib.Path) -> pathlib.Path:
    said = lab.elysium("--json", "backup", environ=night.PHRASE).ok().json_lines()[-1]
    return pathlib.Path(shutil.copy(said["path"], tmp_path))


def test_a_cluster_with_a_token(bare: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    lab, forge = bare, repository(bare, "token")
    token = forge.token()
    byhand.k3s(lab)
    byhand.flux_with_token(lab, forge, tmp_path_factory.mktemp("by-hand"), token)
    file = {"auth": "token", "github.tokenFile": tryout.settings(lab.sandbox)["github.tokenFile"]}
    mine = folder_for(lab, tmp_path_factory.mktemp("adopting"), "token", **file)
    adopted(mine, forge)
    kept = backup(mine, tmp_path_factory.mktemp("stick"))
    assert token.reveal().encode() not in kept.read_bytes()
    mine.sandbox = lab.sandbox = renewal.replace_node(lab.sandbox.name)
    fresh = restored(mine, forge, kept, tmp_path_factory.mktemp("fresh"), ("flux.auth=token",))
    held = coldstarts.secret(fresh, "flux-system", "flux-system")
    assert held == {"username": "git", "password": token.reveal(), "ca.crt": held["ca.crt"]}
    emptied(fresh)


def test_a_cluster_with_an_app(bare: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    lab, forge = bare, repository(bare, "app")
    app, key = forge.create_app(slug="by-hand", repositories=[forge.slug])
    byhand.k3s(lab)
    byhand.flux_with_app(lab, forge, tmp_path_factory.mktemp("by-hand"), app, key)
    folder = tmp_path_factory.mktemp("adopting")
    private = folder / "app.pem"
    private.write_text(key.reveal())
    private.chmod(0o600)
    mine = folder_for(
        lab,
        folder,
        "app",
        **{
            "auth": "app",
            "github.app.id": str(app["id"]),
            "github.app.privateKeyFile": str(private),
        },
    )
    adopted(mine, forge)
    kept = backup(mine, tmp_path_factory.mktemp("stick"))
    assert key.reveal().encode() not in kept.read_bytes()
    emptied(mine)
    fresh = restored(mine, forge, kept, tmp_path_factory.mktemp("fresh"), (str(private),))
    held = coldstarts.secret(fresh, "flux-system", "flux-system")
    assert held["githubAppPrivateKey"] == key.reveal()
    assert coldstarts.secret_or_none(fresh, "flux-system-app", "flux-system") is None
