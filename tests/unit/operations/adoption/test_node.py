"""Which settings describe a cluster that was set up by hand."""

from __future__ import annotations

import pytest

from provision import config, errors
from provision.operations.adoption import flux, model, node
from provision.provider.flux import detection
from provision.provider.k3s import existing as k3s_existing
from provision.provider.media import existing as media_existing
from provision.secret import Secret
from tests.support import k3snode


def found(**changes: object) -> k3s_existing.Found:
    known: dict[str, object] = {
        "options": {},
        "proxy": {},
        "beyond": (),
        "addresses": frozenset[str](),
        "since": 0,
    }
    return k3s_existing.Found(**(known | changes))  # type: ignore[arg-type]


def test_options_of_k3s_that_have_no_place_of_their_own() -> None:
    by_hand = found(
        options={
            "disable": ["traefik"],
            "secrets-encryption": True,
            "token": "swordfish",
            "agent-token": "swordfish",
            "write-kubeconfig-mode": "644",
        }
    )
    facts = k3snode.k3s_node(k3snode.k3s_inputs()).node
    assert node._options(by_hand, facts, "kyrion") == {"write-kubeconfig-mode": "644"}
    assert node._options(by_hand, facts, "other") == {
        "node-name": "kyrion",
        "write-kubeconfig-mode": "644",
    }


DB = "/var/lib/rancher/k3s/server/db"


@pytest.mark.parametrize(
    ("there", "options", "kind"),
    [
        (("state.db", "etcd", "etcd/name"), {}, "sqlite"),
        (("state.db", "etcd", "etcd/name"), {"cluster-init": True}, "sqlite"),
        (("etcd", "etcd/name", "etcd/member"), {}, "etcd"),
        (("state.db", "etcd", "etcd/member"), {}, "etcd"),
        ((), {"cluster-init": "true"}, "etcd"),
        ((), {"cluster-init": "false"}, "sqlite"),
        ((), {}, "sqlite"),
    ],
)
def test_the_datastore_is_the_one_on_the_disk(
    there: tuple[str, ...], options: dict[str, object], kind: str
) -> None:
    inputs = k3snode.k3s_inputs()
    files = {f"{DB}/state.db": None} | {f"{DB}/{x}": k3snode.a_file(f"{DB}/{x}") for x in there}
    facts = k3snode.k3s_node(inputs, files=files).node
    assert node._datastore(facts, inputs, found(options=options)) == kind


def test_a_move_that_is_due_at_the_next_start_is_told() -> None:
    inputs = k3snode.k3s_inputs()
    facts = k3snode.k3s_node(inputs).node
    (note,) = node._datastore_notes(facts, inputs, found(options={"cluster-init": True}))
    assert "cannot be undone" in note and "keeps SQLite" in note
    assert list(node._datastore_notes(facts, inputs, found())) == []
    drop_in = k3snode.k3s_node(inputs, cluster_init="/etc/x.yaml\n").node
    assert "/etc/x.yaml" in next(node._datastore_notes(drop_in, inputs, found()))


@pytest.mark.parametrize("name", ["datastore-endpoint", "agent-token", "vpn-auth"])
def test_secret_options_are_refused_until_they_are_in_a_drop_in(name: str) -> None:
    (problem,) = node._refused(found(options={name: "swordfish"}), "kyrion")
    assert name in problem.message and "config.yaml.d" in problem.hint
    assert "swordfish" not in str(problem)


def test_a_token_is_no_obstacle_a_proxy_with_a_password_and_another_server_are() -> None:
    assert list(node._refused(found(options={"token": "swordfish"}), "kyrion")) == []
    proxied = found(proxy={"https": "http://me:swordfish@proxy:3128"})
    (problem,) = node._refused(proxied, "kyrion")
    assert "swordfish" not in str(problem)
    (problem,) = node._refused(found(options={"server": "https://a:6443"}), "kyrion")
    assert "joins another" in problem.message


def test_a_media_library_as_settings() -> None:
    library = media_existing.Found(
        remote={"account": "films", "key": "swordfish", "type": "azureblob"},
        path="library",
        options={"vfs-cache-mode": "full", "read-only": "true", "dir-cache-time": "1h"},
        version="v1.75.2",
        idle=60,
        beyond=(),
    )
    settings = list(node._media_settings("/mnt/films", library))
    assert settings[0].key == "media.remote.type"
    assert {one.key: one.shown for one in settings} == {
        "media.remote.type": "azureblob",
        "media.remote.account": "films",
        "media.remote.key": "***",
        "media.path": "library",
        "media.mountPoint": "/mnt/films",
        "media.rcloneVersion": "v1.75.2",
        "media.idleTimeout": "60",
        "media.cacheMode": "full",
        "media.cacheSize": "off",
        "media.readOnly": "true",
        "media.options": '{"dir-cache-time": "1h"}',
    }
    assert "swordfish" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ssh://git@github.com/me/home", ("github.com", 22, "me", "home")),
        ("ssh://git@ssh.github.com:443/me/home.git", ("ssh.github.com", 443, "me", "home")),
        ("git@github.com:me/home.git", ("github.com", 22, "me", "home")),
        ("https://github.com/me/home", ("github.com", 22, "me", "home")),
        ("https://github.com/me", None),
        ("", None),
    ],
)
def test_where_a_git_url_leads(url: str, expected: tuple[str, int, str, str] | None) -> None:
    assert flux.place(url) == expected


def test_another_repository_than_the_configured_one_is_a_problem() -> None:
    cfg = config.GitHub(owner="me", repository="home")

    def told(url: str, branch: str) -> list[errors.Problem]:
        key = ("flux-system", "flux-system")
        one = detection.Follower(source=key, kustomization=key, origin=key, url=url)
        return list(flux._other_repository(cfg, one, branch))

    assert told("ssh://git@github.com/Me/home.git", "main") == []
    problems = told("ssh://git@github.com/you/home", "prod")
    assert [problem.key for problem in problems] == ["github", "github.branch"]


def test_only_what_the_configuration_does_not_say_is_written() -> None:
    cfg = config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": "node.lan"}],
            "github": {"owner": "me", "repository": "home"},
            "k3s": {"disable": ["traefik"]},
            "media": {"remote": {"type": "azureblob", "key": Secret("swordfish")}},
        }
    )
    same = (
        model.Setting(key="k3s.version", value=config.K3s().version),
        model.Setting(key="k3s.disable", value=["traefik"]),
        model.Setting(key="k3s.tlsSan", value=[]),
        model.Setting(key="media.remote.key", value="swordfish", secret=True),
        model.Setting(key="github.sshPort", value=22),
        model.Setting(key="sealing.enabled", value=True),
    )
    assert model.lacking(cfg, same) == ()
    other = model.Setting(key="k3s.datastore", value="etcd")
    assert model.lacking(cfg, (*same, other)) == (other,)
