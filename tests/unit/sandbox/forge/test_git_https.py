"""Git over HTTPS at the forge, by the real git, and elysium's own proof of a login."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from provision import config, errors
from provision.github import failures, git_https, git_login, installation
from provision.sandbox.forge import app, authority
from provision.secret import Secret


class Hub:
    def __init__(self, forge: app.Forge, port: int) -> None:
        self.forge = forge
        self.base = f"https://127.0.0.1:{port}"
        self.token = (forge.root / "token").read_text().strip()
        self.ca = authority.ca_file(forge.root)
        self.cfg = config.GitHub(
            owner="me", repository="home", base_url=self.base, ca_file=str(self.ca)
        )

    def git(self, *arguments: str, token: str = "", cwd: Path | None = None) -> str:
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSL_CAINFO": str(self.ca),
        }
        if token:
            text = f"!f() {{ echo username=x-access-token; echo password={token}; }}; f"
            arguments = ("-c", f"credential.helper={text}", *arguments)
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, cwd=cwd, env=environment
        )
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def hub(served, tmp_path_factory) -> Hub:
    made = Hub(*served)
    work = tmp_path_factory.mktemp("work")
    url = made.cfg.https_url
    made.git("init", "-q", "-b", "main", str(work))
    (work / "file").write_text("x" * 3_000_000)
    made.git("add", ".", cwd=work)
    made.git(
        *("-c", "user.name=me", "-c", "user.email=me@example.org", "commit", "-qm", "one"), cwd=work
    )
    # A small buffer makes git send the pack in chunks.
    made.git(
        *("-c", "http.postBuffer=65536", "push", "-q", url, "main"), token=made.token, cwd=work
    )
    return made


def login(hub: Hub, password: str) -> git_login.GitLogin:
    fields = {"username": Secret("git"), "password": Secret(password)}
    return git_login.GitLogin(kind="token", cfg=hub.cfg, fields=fields)


def test_git_clones_and_pushes_with_a_token(hub, tmp_path):
    hub.git("clone", "-q", hub.cfg.https_url, str(tmp_path / "copy"), token=hub.token)
    assert (tmp_path / "copy" / "file").stat().st_size == 3_000_000
    served = [line for line in hub.forge.git_log.read() if line["result"] == "served"]
    assert {line["service"] for line in served} >= {"git-upload-pack", "git-receive-pack"}


@pytest.mark.parametrize("token", ["", "ghp_wrong"])
def test_git_without_a_good_token_is_refused(hub, tmp_path, token):
    with pytest.raises(AssertionError, match=r"Authentication failed|could not read Username"):
        hub.git("clone", "-q", hub.cfg.https_url, str(tmp_path / "copy"), token=token)


def test_a_login_is_proven_by_a_fetch_and_the_right_to_push(hub):
    good = login(hub, hub.token)
    good.prove("main", push=True)
    head = git_https.fetch_head(hub.cfg, "git", Secret(hub.token), "main")
    assert head == hub.git("ls-remote", hub.cfg.https_url, "main", token=hub.token).split()[0]


def test_a_login_that_may_only_read_is_told(hub):
    text, _ = hub.forge.tokens.create("fine-grained", "me", permissions={"contents": "read"})
    login(hub, text).prove("main", push=False)
    with pytest.raises(errors.CodeHostError, match="may not push") as raised:
        login(hub, text).prove("main", push=True)
    assert "Contents: write" in raised.value.hint


@pytest.mark.parametrize("branch", ["main", ""])
def test_a_refused_login_is_told_without_the_token(hub, branch):
    with pytest.raises(failures.TokenError) as raised:
        login(hub, "ghp_secretsecret").prove(branch, push=True)
    assert "ghp_secretsecret" not in str(raised.value)
    assert raised.value.__context__ is None or "ghp_" not in str(raised.value.__context__)


def test_a_missing_branch_and_a_foreign_certificate_are_told(hub):
    with pytest.raises(failures.NotFoundError, match="no branch other"):
        login(hub, hub.token).prove("other", push=False)
    bare = hub.cfg.model_copy(update={"ca_file": ""})
    fields = {"username": Secret("git"), "password": Secret(hub.token)}
    with pytest.raises(failures.UnreachableError, match="certificate") as raised:
        git_login.GitLogin(kind="token", cfg=bare, fields=fields).prove("main", push=False)
    assert "github.caFile" in raised.value.hint


def test_a_github_app_is_proven_with_a_token_of_its_installation(hub):
    private, made = hub.forge.apps.create(
        number=7,
        installation_id=70,
        slug="flux",
        owner="me",
        permissions={"metadata": "read", "contents": "read"},
        repositories=("me/home",),
        created_at="2026-01-01T00:00:00Z",
    )
    github = hub.cfg.model_copy(
        update={"app": config.GitHubApp(id=str(made.id), private_key=Secret(private))}
    )
    found = git_login.find(github, config.Flux(auth="app"), {})
    assert {name: value.reveal() for name, value in found.fields.items() if "Key" not in name} == {
        "githubAppID": "7",
        "githubAppInstallationOwner": "me",
        "githubAppBaseURL": hub.base,
        "ca.crt": hub.ca.read_text(),
    }
    found.prove("main", push=False)
    with pytest.raises(errors.CodeHostError, match="may not push"):
        found.prove("main", push=True)
    other = installation.Installation(app="8", private_key=Secret(private))
    with pytest.raises(failures.TokenError):
        git_login.GitLogin(kind="app", cfg=github, fields={}, app=other).prove("main", push=False)
