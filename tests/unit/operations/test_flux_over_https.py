"""Taking over, looking at, rotating, backing up and restoring a Flux that logs in over HTTPS."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision import config, errors
from provision.operations import configured, status
from provision.operations.adoption import flux, model
from provision.operations.rotation import deploy_key
from provision.provider import connections
from provision.provider.flux import sync_files
from provision.recovery.backup import collect
from provision.recovery.bundle import parts
from provision.recovery.restore import report, workspace
from stacks import cache
from tests.support import fluxparts, fluxworld, restores
from tests.unit.recovery.restore import test_report

TOKEN = "ghp_canary0123456789"
URL = "https://github.com/me/home.git"
FIELDS = {
    "token": {"username": "git", "password": TOKEN, "ca.crt": "---"},
    "app": {"githubAppID": "7", "githubAppInstallationOwner": "me", "githubAppPrivateKey": TOKEN},
}
BOTH = pytest.mark.parametrize("auth", ["token", "app"])


def cfg(auth: str, **more: Any) -> config.Config:
    return config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": "h"}],
            "github": {"owner": "me", "repository": "home"},
            "flux": {"auth": auth, **more},
        }
    )


def by_hand(auth: str) -> fluxworld.World:
    """A cluster whose Flux fetches over HTTPS, as a person or `flux bootstrap` left it."""
    world = fluxworld.World()
    for obj in sync_files.sync_objects(fluxparts.S_INPUTS):
        if obj["kind"] == "GitRepository":
            obj["spec"] |= {"url": URL, "secretRef": {"name": "flux-system"}}
            if auth == "app":
                obj["spec"]["provider"] = "github"
        world.cluster.put(obj)
    name = "gitrepositories.source.toolkit.fluxcd.io"
    kind = "CustomResourceDefinition"
    world.cluster.put(
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": kind, "metadata": {"name": name}}
    )
    data = {key: base64.b64encode(text.encode()).decode() for key, text in FIELDS[auth].items()}
    metadata = {"name": "flux-system", "namespace": "flux-system"}
    world.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    return world


def no_github(*_: object) -> Any:
    raise AssertionError("GitHub is asked for deploy keys")


def adopted(auth: str, configured_as: config.Config) -> model.Part:
    live = SimpleNamespace(kube=by_hand(auth).kube, github=no_github)
    stack: Any = SimpleNamespace(config=configured_as, live=live)
    return flux.look(stack, "kubeconfig")


@BOTH
def test_adopt_keeps_the_secret_and_asks_for_no_deploy_key(auth: str) -> None:
    part = adopted(auth, cfg(auth))
    assert part.problems == ()
    settings = {one.key: one.value for one in part.settings}
    assert "flux.readWrite" not in settings
    assert "github.sshHost" not in settings
    assert settings.get("flux.secret") == ("flux-system" if auth == "app" else None)
    assert part.notes == ("its Secret holds a login, and gets the configured one of flux.auth",)
    assert TOKEN not in str(part)


@BOTH
def test_adopt_says_that_the_login_will_be_a_deploy_key(auth: str) -> None:
    notes = adopted(auth, cfg("ssh")).notes
    assert any(f"it fetches {URL}" in one and "over SSH" in one for one in notes)
    assert any("they are removed when Flux has fetched with the deploy key" in one for one in notes)


@BOTH
def test_status_asks_for_the_login_and_shows_no_part_of_it(auth: str) -> None:
    assert "elysium:flux:HttpsAccess" in configured.expected(cfg(auth))
    assert "elysium:flux:GitAccess" not in configured.expected(cfg(auth))
    shown = status._FACTS["elysium:flux:HttpsAccess"](
        {"auth": auth, "login": "token", "fingerprint": "SHA256:x", "proven": "SHA256:x"}
    )
    assert shown == [("login", "token"), ("fingerprint", "SHA256:x")]


@pytest.mark.parametrize(
    ("auth", "words"), [("token", "flux.token"), ("app", "github.app.privateKey")]
)
def test_no_deploy_key_is_rotated(auth: str, words: str) -> None:
    stack: Any = SimpleNamespace(config=cfg(auth))
    with pytest.raises(errors.StackError, match=f"flux.auth is {auth}") as caught:
        deploy_key.look(stack)
    assert words in caught.value.hint
    assert "run elysium up" in caught.value.hint


@BOTH
def test_a_backup_has_no_login(auth: str) -> None:
    world = by_hand(auth)
    absent: list[str] = []
    settings = cfg(auth, secret="flux-system").flux
    cluster: Any = world.cluster
    found = list(collect._secrets(cluster, settings, [], absent))
    kept = b"".join(one.content for one in found)
    for text in (TOKEN, base64.b64encode(TOKEN.encode()).decode()):
        assert text.encode() not in kept
    assert not any(one.name == parts.FLUX_SYSTEM for one in found) or b"canary" not in kept
    assert any("flux-system/flux-system" in one for one in absent)


@BOTH
def test_a_restore_says_where_the_login_comes_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, auth: str
) -> None:
    app = "    app: {id: '7'}\n" if auth == "app" else ""
    text = restores.CONFIGURATION.format(salt=restores.vault().salt)
    text += f"{app}  elysium:flux:\n    auth: {auth}\n"
    found = restores.made(
        test_report.OLD,
        test_report.OLD,
        replaced={parts.stack_file("kyrion"): text.encode()},
    )
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "remembered")
    monkeypatch.setattr(connections.Live, "github", lambda *_: restores.Repository(files={}))
    with workspace.opened(found, test_report.NEW, ask=False) as space:
        told = report.look(space, tmp_path, "rebuild")
    words = {"token": "the configured token, which no backup holds", "app": "GitHub App"}
    assert any("Flux logs in with" in one and words[auth] in one for one in told.notes)
    assert not any("deploy key" in one for one in told.notes)
