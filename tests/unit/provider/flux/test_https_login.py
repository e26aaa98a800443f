"""Flux over HTTPS: the Secret of a token or an App, and the change from and to a deploy key."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from provision import config, errors
from provision.github import git_login, installation
from provision.host import gitssh
from provision.provider import resource
from provision.provider.deploy_key import keypair
from provision.provider.flux import https_login, sync_files
from provision.secret import Secret
from tests.support import deploykeys, fluxparts

ACCESS = https_login.HttpsAccess()
URL = "https://github.com/me/home.git"
INPUTS = {
    "kubeconfig": "kubeconfig",
    "namespace": "flux-system",
    "secretName": "flux-system",
    "gitUrl": URL,
    "branch": "main",
    "auth": "token",
    "readWrite": True,
}
SECRET = ("Secret", "flux-system", "flux-system")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Login(git_login.GitLogin):
    world: object = None
    refused: bool = False

    def prove(self, branch, *, push):
        self.world.calls.append(f"prove {branch} {push}")
        if self.refused:
            raise errors.CodeHostError("the login is refused", operation="prove")


def token(world, text="ghp_first", **changed):
    fields = {"username": Secret("git"), "password": Secret(text)}
    cfg = config.GitHub(owner="me", repository="home")
    world.login = Login(kind="token", cfg=cfg, fields=fields, world=world, **changed)


def app(world, **fields):
    values = {"githubAppID": "7", "githubAppInstallationOwner": "me", "githubAppPrivateKey": "PEM"}
    made = installation.Installation(app="7", private_key=Secret("PEM"))
    world.login = Login(
        kind="app",
        cfg=config.GitHub(owner="me", repository="home"),
        fields={name: Secret(value) for name, value in (values | fields).items()},
        app=made,
        world=world,
    )


def up(world, state=None, **changed):
    inputs = INPUTS | changed
    observed, kept = resource.converge(ACCESS, world, inputs, state or {})
    return inputs | ACCESS.outputs(observed.facts, inputs, kept)


def plan(world, state=None, **changed):
    inputs = INPUTS | changed
    facts = ACCESS.observe(world, inputs, state or {}).facts
    return ACCESS.plan(facts, inputs, state or {}), ACCESS.remarks(facts, inputs)


def held(world, key=SECRET):
    data = world.cluster.objects[key]["data"]
    return {name: base64.b64decode(text).decode() for name, text in data.items() if text}


def put_source(world, *, ready=lambda: True, name="flux-system", **spec):
    """A source-controller that answers each request at once."""
    key = ("GitRepository", name, "flux-system")
    world.cluster.put(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "flux-system", "generation": 1},
            "spec": {"url": URL, "secretRef": {"name": "flux-system"}, **spec},
        }
    )

    def act():
        obj = world.cluster.objects[key]
        stamp = (obj["metadata"].get("annotations") or {}).get("reconcile.fluxcd.io/requestedAt")
        status = "True" if ready() else "False"
        obj["status"] = {
            "observedGeneration": 1,
            "lastHandledReconcileAt": stamp,
            "conditions": [{"type": "Ready", "status": status, "message": "x"}],
        }

    world.cluster.react = act


@pytest.fixture
def ssh(monkeypatch):
    """Git over SSH takes every key."""
    monkeypatch.setattr(gitssh, "fetch_head", lambda *_: "c0")
    monkeypatch.setattr(gitssh, "push_allowed", lambda *_: True)


def test_a_token_is_proven_and_written_and_the_plan_warns(world):
    token(world)
    (change,), (warning,) = plan(world)
    assert change.action == "create"
    assert "stored in the cluster" in warning
    state = up(world)
    assert held(world) == {"username": "git", "password": "ghp_first"}
    assert world.calls[0] == "prove main True"
    assert "ghp_first" not in str(state) + str(world.said) + str(change) + warning
    world.calls.clear()
    assert plan(world, state)[0] == ()
    assert up(world, state) == state
    assert world.calls == []


def test_without_a_cluster_the_secret_is_planned(world):
    token(world)
    (change,), _ = plan(world, kubeconfig=resource.UNKNOWN)
    assert change.property == "secret"


def test_another_token_is_written_and_flux_fetches_with_it(world):
    token(world)
    state = up(world)
    put_source(world)
    token(world, "ghp_second")
    (change,), _ = plan(world, state)
    assert "password" in change.summary
    assert "ghp_second" not in change.summary
    world.calls.clear()
    after = up(world, state)
    assert held(world)["password"] == "ghp_second"
    assert "patch GitRepository" in world.calls
    assert after["fingerprint"] != state["fingerprint"]


def test_a_refused_token_is_not_written(world):
    token(world)
    state = up(world)
    token(world, "ghp_second", refused=True)
    with pytest.raises(errors.CodeHostError):
        up(world, state)
    assert held(world)["password"] == "ghp_first"


def test_a_token_with_which_flux_fails_is_taken_back(world, monkeypatch):
    token(world)
    state = up(world)
    put_source(world)

    def fail(*_, **__):
        raise errors.WaitError("it fails", what="GitRepository")

    monkeypatch.setattr(https_login.objects, "reconcile_now", fail)
    token(world, "ghp_second")
    with pytest.raises(errors.WaitError) as raised:
        up(world, state)
    assert held(world)["password"] == "ghp_first"
    assert "nothing changed" in raised.value.detail


def test_the_secret_of_flux_bootstrap_with_a_token_is_taken_over(world):
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "flux-system", "namespace": "flux-system"},
            "data": {"username": "Z2l0", "password": base64.b64encode(b"ghp_first\n").decode()},
        }
    )
    put_source(world)
    token(world)
    (change,), _ = plan(world)
    assert change.property == "proven"
    state = up(world)
    assert "apply Secret" not in world.calls
    assert plan(world, state)[0] == ()


def test_an_app_gets_no_secret_that_a_source_over_ssh_uses(world):
    deploykeys.put_secret(world, deploykeys.pair("one"))
    put_source(world, url="ssh://git@github.com/me/home.git")
    app(world)
    with pytest.raises(errors.PreflightError) as raised:
        plan(world, auth="app")
    assert "flux.secret" in str(raised.value)
    assert plan(world, auth="app", secretName="flux-system-app")[0]


def test_an_installation_by_number_replaces_that_by_owner(world):
    app(world)
    state = up(world, auth="app")
    put_source(world, provider="github")
    app(world, githubAppInstallationID="70")
    fields = {k: v for k, v in world.login.fields.items() if k != "githubAppInstallationOwner"}
    world.login = dataclasses.replace(world.login, fields=fields)
    up(world, state, auth="app")
    assert set(held(world)) == {"githubAppID", "githubAppInstallationID", "githubAppPrivateKey"}


def test_the_deploy_keys_fields_stay_until_flux_has_changed(world, ssh):
    """From ssh to token: both are in the Secret, then the key goes from GitHub and the Secret."""
    state = deploykeys.up(world)
    token(world)
    up(world)
    assert set(held(world)) == {*keypair.FIELDS, "username", "password"}
    put_source(world)
    deploykeys.ACCESS.delete(world, deploykeys.INPUTS, state)
    assert world.hub.keys == {}
    assert set(held(world)) == {"username", "password"}


def test_the_deploy_key_stays_while_another_source_uses_it(world, ssh):
    state = deploykeys.up(world)
    token(world)
    up(world)
    put_source(world)
    put_source(world, name="other", url="ssh://git@github.com/me/other.git")
    with pytest.raises(errors.StackError, match="still in use") as raised:
        deploykeys.ACCESS.delete(world, deploykeys.INPUTS, state)
    assert "other" in raised.value.detail
    assert len(world.hub.keys) == 1


def test_the_token_stays_until_flux_has_changed_to_the_deploy_key(world, ssh):
    token(world)
    state = up(world)
    put_source(world)
    deploykeys.up(world)
    assert set(held(world)) == {*keypair.FIELDS, "username", "password"}
    ACCESS.delete(world, INPUTS, state)
    assert "password" in held(world)  # the source still fetches over HTTPS
    put_source(world, url="ssh://git@github.com/me/home.git")
    ACCESS.delete(world, INPUTS, state)
    assert set(held(world)) == set(keypair.FIELDS)


@pytest.mark.parametrize(
    ("had", "replaced"), [("flux-system", ("secretName",)), ("flux-system-app", ()), (None, ())]
)
def test_another_secret_is_made_before_the_old_one_goes(had, replaced):
    state = {"secretName": had} if had else {}
    kind = https_login.HttpsAccess()
    assert kind.replaces(state, {"secretName": "flux-system-app"}) == replaced


def test_a_login_that_nobody_uses_goes_with_its_secret(world):
    token(world)
    state = up(world)
    ACCESS.delete(world, INPUTS, state)
    assert SECRET not in world.cluster.objects
    ACCESS.delete(world, INPUTS, state)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"gitUrl": URL, "provider": "github", "secretName": "flux-system-app"}),
        ({"gitUrl": URL, "provider": "github"}, {}),
        ({}, {"gitUrl": URL}),
    ],
)
def test_the_file_and_the_source_change_only_what_differs(before, after):
    old = fluxparts.S_INPUTS | before
    new = fluxparts.S_INPUTS | after
    text = "# mine\n" + sync_files.render(old).replace("interval: 1m", "interval: 7m")
    (changed,) = sync_files.edited({"f": text}, new | {"interval": "7m"}, "f").values()
    places = sync_files.find({"f": changed}, new)
    spec = places["GitRepository"].obj["spec"]
    assert spec["url"] == new["gitUrl"]
    assert spec["secretRef"]["name"] == new["secretName"]
    assert spec.get("provider", "generic") == new.get("provider", "generic")
    assert spec["interval"] == "7m"
    assert changed.startswith("# mine\n")
    assert sync_files.edited({"f": changed}, new | {"interval": "7m"}, "f") == {}


def test_a_sync_over_https_leaves_the_login_in_the_secret(world):
    token(world)
    up(world)
    inputs = fluxparts.S_INPUTS | {"gitUrl": URL}
    fluxparts.Flux(world)
    fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    state = fluxparts.run(fluxparts.SYNC, world, inputs)
    assert held(world)["password"] == "ghp_first"
    assert fluxparts.plan(fluxparts.SYNC, world, inputs, state) == ()


def find(flux, environ=None, **github):
    cfg = config.GitHub.model_validate({"owner": "me", "repository": "home", **github})
    return git_login.find(cfg, flux, environ or {})


def test_which_token_flux_gets(tmp_path):
    file = tmp_path / "token"
    file.write_text("ghp_file\n")
    own = config.Flux(auth="token")
    assert find(own, {"GITHUB_TOKEN": "ghp_mine"}).fields["password"].reveal() == "ghp_mine"
    environ = {"ELYSIUM_FLUX_TOKEN": "ghp_env", "GITHUB_TOKEN": "ghp_mine"}
    assert find(own, environ).fields["password"].reveal() == "ghp_env"
    with_file = config.Flux(auth="token", token_file=str(file))
    assert find(with_file, environ).fields["password"].reveal() == "ghp_file"
    given = config.Flux(auth="token", token=Secret("ghp_given"))
    assert find(given, environ).fields["password"].reveal() == "ghp_given"


@pytest.mark.parametrize(
    ("flux", "environ", "github", "said"),
    [
        ({"auth": "token"}, {"GITHUB_TOKEN": "ghs_abc"}, {}, "GitHub Actions"),
        ({"auth": "token"}, {}, {"app": {"id": "7", "privateKey": "PEM"}}, "flux.auth to app"),
        ({"auth": "app"}, {"GITHUB_TOKEN": "ghp_x"}, {}, "github.app.id"),
        ({"auth": "app"}, {}, {"app": {"id": "Iv23a", "privateKey": "PEM"}}, "client id"),
        ({"auth": "app"}, {}, {"app": {"id": "7"}}, "private key"),
    ],
)
def test_what_cannot_serve_flux_is_refused(flux, environ, github, said):
    with pytest.raises(errors.ConfigError, match=said) as raised:
        find(config.Flux.model_validate(flux), environ, **github)
    assert "ghs_abc" not in str(raised.value)


def test_the_address_over_https_follows_from_the_apis():
    def url(base):
        return config.GitHub(owner="me", repository="home", base_url=base).https_url

    assert url("https://api.github.com") == URL
    assert url("https://api.acme.ghe.com") == "https://acme.ghe.com/me/home.git"
    assert url("https://git.example.org:8443/api/v3") == (
        "https://git.example.org:8443/me/home.git"
    )
