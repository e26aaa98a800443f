"""Every address and local file in a bundle's configuration is found, and trusted only by name."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from provision import config
from provision.recovery.restore import addresses
from provision.secret import Secret

PLAIN: dict[str, Any] = {
    "cluster": "kyrion",
    "nodes": [{"name": "kyrion", "host": "10.0.0.1"}],
    "github": {"owner": "me", "repository": "homelab"},
}


def made(section: str, value: Any) -> config.Config:
    before = PLAIN.get(section, {})
    if section == "nodes":
        merged: Any = [{**before[0], **value}]
    else:
        merged = {**before, **value}
    return config.Config.model_validate({**PLAIN, section: merged})


def asked(cfg: config.Config, *trusted: str) -> list[tuple[str, str]]:
    found = addresses.untrusted(addresses.named(cfg), trusted=trusted)
    return [(each.key, each.value) for each in found]


@pytest.mark.parametrize(
    ("section", "value", "key", "shown"),
    [
        ("github", {"baseUrl": "http://10.0.0.9:80/api"}, "github.baseUrl", None),
        ("github", {"baseUrl": "https://api.github.com.evil.org"}, "github.baseUrl", None),
        (
            "github",
            {"baseUrl": "https://api.github.com:x@evil.org/v3"},
            "github.baseUrl",
            "https://evil.org/v3",
        ),
        ("github", {"baseUrl": "http://api.github.com"}, "github.baseUrl", None),
        ("github", {"baseUrl": "https://api.github.com:444"}, "github.baseUrl", None),
        ("github", {"caFile": "certs/ca.pem"}, "github.caFile", "certs/ca.pem"),
        ("github", {"sshHost": "evil.org"}, "github.sshHost", "evil.org:22"),
        ("github", {"sshPort": 2222}, "github.sshHost", "github.com:2222"),
        ("github", {"tokenFile": "~/.ssh/id_rsa"}, "github.tokenFile", None),
        (
            "github",
            {"app": {"id": "1", "privateKeyFile": "/k.pem"}},
            "github.app.privateKeyFile",
            "/k.pem",
        ),
        ("flux", {"auth": "token"}, "flux.auth", "flux.auth=token"),
        ("flux", {"auth": "app"}, "flux.auth", "flux.auth=app"),
        ("flux", {"auth": "token", "tokenFile": "~/.token"}, "flux.tokenFile", "~/.token"),
        ("nodes", {"identityFile": "~/.ssh/id"}, "nodes.identityFile", None),
        ("nodes", {"sshConfig": "/tmp/config"}, "nodes.sshConfig", None),
        ("nodes", {"address": "evil.org"}, "nodes.address", None),
        ("nodes", {"jump": {"host": "evil.org", "port": 2}}, "nodes.jump.host", "evil.org:2"),
        (
            "nodes",
            {"jump": {"host": "github.com", "identityFile": "/k"}},
            "nodes.jump.identityFile",
            "/k",
        ),
        ("artifacts", {"mirror": "https://evil.org/m"}, "artifacts.mirror", None),
        ("artifacts", {"mirror": "/srv/mirror"}, "artifacts.mirror", None),
        ("artifacts", {"pins": "/etc/cron.d/x"}, "artifacts.pins", None),
        ("flux", {"manifests": "/etc/shadow"}, "flux.manifests", None),
        ("flux", {"crds": "/etc"}, "flux.crds", None),
        ("backup", {"directory": "/srv"}, "backup.directory", None),
        ("backup", {"directory": "a/../../b"}, "backup.directory", None),
        ("backup", {"copies": [{"directory": "/srv"}]}, "backup.copies[0].directory", "/srv"),
        (
            "backup",
            {"copies": [{"rclone": ":sftp,host=evil:/"}]},
            "backup.copies[0].rclone",
            ":sftp,host=evil:/",
        ),
        (
            "backup",
            {"copies": [{"ssh": {"host": "evil.org"}, "path": "/b"}]},
            "backup.copies[0].ssh.host",
            "evil.org:22",
        ),
        (
            "k3s",
            {"proxy": {"https": "http://u:p@evil:3128"}},
            "k3s.proxy.https",
            "http://evil:3128",
        ),
        (
            "k3s",
            {"options": {"etcd-s3-endpoint": "evil:9"}},
            "k3s.options.etcd-s3-endpoint",
            "evil:9",
        ),
        (
            "k3s",
            {"options": {"kube-apiserver-arg": ["oidc-issuer-url=https://evil.org"]}},
            "k3s.options.kube-apiserver-arg[0]",
            "oidc-issuer-url=https://evil.org",
        ),
        (
            "k3s",
            {"registries": {"mirrors": {"docker.io": {"endpoint": ["https://evil.org"]}}}},
            "k3s.registries.mirrors.docker.io.endpoint[0]",
            "https://evil.org",
        ),
        (
            "media",
            {"remote": {"type": "webdav", "url": "https://evil"}},
            "media.remote.url",
            "https://evil",
        ),
        ("media", {"remote": {"type": "sftp", "host": "evil"}}, "media.remote.host", "evil"),
        ("media", {"remote": {"type": "sftp", "ssh": "sh -c x"}}, "media.remote.ssh", "sh -c x"),
        (
            "media",
            {"remote": {"type": "azureblob", "sas_url": Secret("https://a.example/c?sig=xyz")}},
            "media.remote.sas_url",
            "https://a.example",
        ),
        ("gpu", {"pluginImage": "evil.org/x:1"}, "gpu.pluginImage", "evil.org/x:1"),
        ("backup", {"recipients": ["age1evil"]}, "backup.recipients", "age1evil"),
        (
            "backup",
            {"recipients": ["age1mine", "ssh-ed25519 AAAAevil me@home"]},
            "backup.recipients",
            "ssh-ed25519 AAAAevil",
        ),
        ("backup", {"keep": 1}, "backup.keep", "backup.keep=1"),
        ("backup", {"keepDays": 1}, "backup.keepDays", "backup.keepDays=1"),
        (
            "github",
            {"gitHostKeys": ["ssh-ed25519 AAAAevil x"]},
            "github.gitHostKeys",
            "ssh-ed25519 AAAAevil",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_is_asked_for_and_is_trusted_by_name(
    section: str, value: dict[str, Any], key: str, shown: str | None
) -> None:
    shown = shown or str(next(iter(value.values())))
    cfg = made(section, value)
    assert (key, shown) in asked(cfg)
    assert (key, shown) not in asked(cfg, shown)
    assert (key, shown) in asked(cfg, "https://another.org", "/another")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"baseUrl": "https://api.github.com/"},
        {"sshHost": "ssh.github.com", "sshPort": 443},
    ],
)
def test_githubs_own_places_are_never_asked_for(value: dict[str, Any]) -> None:
    assert asked(made("github", value)) == []


def test_an_empty_name_confirms_nothing() -> None:
    here = str(pathlib.Path.cwd())
    assert asked(made("backup", {"directory": here}), "") == [("backup.directory", here)]


def test_keeping_more_backups_needs_no_confirmation() -> None:
    assert asked(made("backup", {"keep": 15, "keepDays": 0})) == []


def test_a_token_in_clear_is_said_to_be_that() -> None:
    found = addresses.named(made("github", {"baseUrl": "http://git.example"}))
    assert [each.use for each in found if each.key == "github.baseUrl"] == [
        "the GitHub token is sent there, unencrypted"
    ]


def test_what_the_configuration_here_has_needs_no_confirmation_in_any_order() -> None:
    cfg = made("backup", {"recipients": ["age1a", "ssh-ed25519 AAAAb me"], "keep": 2})
    mine = made("backup", {"recipients": ["ssh-ed25519 AAAAb", "age1a"], "keep": 2})
    found = addresses.named(cfg)
    assert addresses.untrusted(found, here=addresses.named(mine)) == ()
    other = made("backup", {"recipients": ["age1a"], "keep": 3})
    left = addresses.untrusted(found, here=addresses.named(other))
    assert [each.value for each in left] == ["ssh-ed25519 AAAAb", "backup.keep=2"]


def test_the_host_keys_of_a_named_git_server_are_covered_by_its_name() -> None:
    cfg = made("github", {"sshHost": "git.example", "gitHostKeys": ["ssh-ed25519 AAAAkey"]})
    assert asked(cfg, "https://git.example") == []
    assert ("github.gitHostKeys", "ssh-ed25519 AAAAkey") in asked(cfg, "https://other.example")


def test_one_name_covers_https_and_ssh_of_a_host() -> None:
    cfg = made("github", {"baseUrl": "https://git.example/api/v3", "sshHost": "git.example"})
    assert asked(cfg, "https://git.example/api/v3/") == []
    assert [key for key, _ in asked(cfg, "https://other.example/")] == [
        "github.baseUrl",
        "github.sshHost",
    ]


def test_control_characters_are_not_shown_as_they_are() -> None:
    ((_, shown),) = asked(made("github", {"tokenFile": "/a\x1b[2Jb"}))
    assert "\x1b" not in shown and "x1b" in shown


_INERT = {
    *("cluster", "nodes.name", "nodes.host", "nodes.port", "nodes.user", "nodes.hostKey"),
    *("nodes.agent", "nodes.password", "nodes.passphrase", "nodes.role", "nodes.sudoPassword"),
    *("nodes.jump.port", "nodes.jump.user", "nodes.jump.hostKey", "nodes.jump.agent"),
    *("nodes.jump.password", "nodes.jump.passphrase"),
    *("k3s.version", "k3s.managedBy", "k3s.datastore", "k3s.secretsEncryption", "k3s.tlsSan"),
    *("k3s.disable", "k3s.registries", "k3s.proxy.noProxy", "k3s.options", "k3s.startTimeout"),
    "k3s.airgapImages",
    "kube.tunnel",
    *("gpu.managedBy", "gpu.driver", "gpu.sharedDevNum", "gpu.timeout"),
    *("media.remote", "media.path", "media.mountPoint", "media.rcloneVersion", "media.cacheMode"),
    *("media.cacheSize", "media.cacheDir", "media.idleTimeout", "media.readOnly"),
    *("media.options", "media.listTimeout", "media.passwords"),
    *("github.owner", "github.repository", "github.branch", "github.sshPort"),
    *("github.allowHttp", "stack.id"),
    *("github.token", "github.app.id", "github.app.installation"),
    "github.app.privateKey",
    *("flux.version", "flux.path", "flux.components", "flux.componentsExtra", "flux.commit"),
    *("flux.namespace", "flux.source", "flux.kustomization", "flux.secret", "flux.token"),
    *("flux.interval", "flux.keyAlgorithm", "flux.readWrite", "flux.timeout"),
    *("sealing.enabled", "sealing.keys", "sealing.namespace", "sealing.certificate"),
    "sealing.version",
    "sops.keys",
    "backup.copies.path",
    *("backup.copies.ssh.port", "backup.copies.ssh.user", "backup.copies.ssh.hostKey"),
    *("backup.copies.ssh.agent", "backup.copies.ssh.password", "backup.copies.ssh.passphrase"),
    *("backup.warnDays", "backup.datastore", "backup.paths", "backup.pathsLimit"),
}
"""Decides nothing on this machine, or free-form (searched for addresses).

A forged value reaches only the new node, which runs what the bundle says anyway: versions,
options, logins. `github.allowHttp` needs an ``http://`` address, which is confirmed. `backup.paths`
names files of the node, which are confirmed where they are in the bundle. A forged
`backup.warnDays` hides a warning.
"""
_NAMED = {
    *("github.baseUrl", "github.sshHost", "github.tokenFile", "github.app.privateKeyFile"),
    *("nodes.identityFile", "nodes.address", "nodes.jump.host", "nodes.jump.identityFile"),
    *("artifacts.mirror", "artifacts.pins", "flux.manifests", "flux.crds", "gpu.pluginImage"),
    *("flux.auth", "flux.tokenFile"),
    *("k3s.proxy.http", "k3s.proxy.https", "backup.directory", "backup.copies.directory"),
    *("backup.copies.rclone", "backup.copies.ssh.host", "backup.copies.ssh.identityFile"),
    *("backup.signingKey", "backup.verifyKeys", "github.caFile"),
    *("backup.recipients", "backup.keep", "backup.keepDays", "github.gitHostKeys"),
    *("nodes.sshConfig", "nodes.jump.sshConfig", "backup.copies.ssh.sshConfig"),
}


def keys(model: type[pydantic.BaseModel], before: str = "") -> Iterator[str]:
    """Every key of the configuration, lists without their index."""
    for field in model.model_fields.values():
        name = f"{before}{field.alias}".replace("k3S", "k3s")  # pydantic's alias of k3s
        inner = next(
            (
                each
                for each in (field.annotation, *getattr(field.annotation, "__args__", ()))
                if isinstance(each, type) and issubclass(each, pydantic.BaseModel)
            ),
            None,
        )
        if inner is None:
            yield name
        else:
            yield from keys(inner, f"{name}.")


def test_it_is_decided_for_every_key_of_the_configuration() -> None:
    """A new key goes into `addresses`, or into the list of those that need no confirmation."""
    assert set(keys(config.Config)) == _INERT | _NAMED
