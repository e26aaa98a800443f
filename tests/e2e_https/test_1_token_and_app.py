"""Flux logs in over HTTPS: with a token, another token, a GitHub App, and with SSH again."""

from __future__ import annotations

from typing import Any

from tests.support import coldstarts
from tests.support import lab as labs

NOTHING = {"same", "read", "refresh"}
SOURCES = "gitrepositories.source.toolkit.fluxcd.io"


def source(lab: labs.Lab) -> dict[str, Any]:
    """Return Flux' own source, which must be ready."""
    (found,) = lab.kubectl("get", SOURCES, "-n", "flux-system")["items"]
    ready = {c["type"]: c["status"] for c in found["status"]["conditions"]}
    assert ready["Ready"] == "True", found["status"]
    return found


def fetched(lab: labs.Lab) -> str:
    """Return the commit that Flux has."""
    return source(lab)["status"]["artifact"]["revision"].rpartition(":")[2]


def nothing_to_do(lab: labs.Lab) -> None:
    assert labs.counted(lab.elysium("up", "--yes", "--json").ok()) <= NOTHING


def test_a_token_and_an_empty_repository(lab: labs.Lab) -> None:
    planned = lab.elysium("preview").ok()
    assert "the token of Flux is stored" in planned.stderr
    lab.elysium("up", "--yes").ok()
    forge = lab.forge.with_repository("empty")
    assert source(lab)["spec"]["url"].startswith("https://")
    assert fetched(lab) == forge.head()
    assert forge.deploy_keys() == []
    kept = coldstarts.secret(lab, "flux-system", "flux-system")
    assert set(kept) == {"username", "password", "ca.crt"}
    assert kept["password"] == lab.forge.token().reveal()
    nothing_to_do(lab)


def test_no_deploy_key_is_rotated(lab: labs.Lab) -> None:
    done = lab.elysium("rotate", "deploy-key", "--yes")
    assert done.status != 0
    assert "flux.token" in done.stderr


def test_another_token_takes_the_place_of_the_first(lab: labs.Lab) -> None:
    forge = lab.forge.with_repository("empty")
    made, _ = forge.create_token("classic", scopes=["repo"])
    lab.elysium("config", "set", "--secret", "flux.token", stdin=made.reveal() + "\n").ok()
    lab.elysium("up", "--yes").ok()
    assert coldstarts.secret(lab, "flux-system", "flux-system")["password"] == made.reveal()
    nothing_to_do(lab)
    for name in lab.folder.rglob("*"):
        if name.is_file():
            assert made.reveal().encode() not in name.read_bytes(), name


def test_a_wrong_token_changes_nothing(lab: labs.Lab) -> None:
    before = coldstarts.secret(lab, "flux-system", "flux-system")
    wrong = "ghp_" + "0" * 36
    lab.elysium("config", "set", "--secret", "flux.token", stdin=wrong + "\n").ok()
    done = lab.elysium("up", "--yes")
    assert done.status == 3
    assert "refuses the login" in done.stderr
    assert wrong not in done.stdout + done.stderr
    assert coldstarts.secret(lab, "flux-system", "flux-system") == before
    right = before["password"] + "\n"
    lab.elysium("config", "set", "--secret", "flux.token", stdin=right).ok()
    nothing_to_do(lab)


def test_an_app_takes_the_place_of_the_token(lab: labs.Lab) -> None:
    forge = lab.forge.with_repository("empty")
    made, private = forge.create_app(repositories=[forge.slug])
    key = lab.folder / "app.pem"
    key.write_text(private.reveal())
    key.chmod(0o600)
    for name, value in {
        "github.app.id": str(made["id"]),
        "github.app.privateKeyFile": str(key),
        "flux.auth": "app",
    }.items():
        lab.elysium("config", "set", name, value).ok()
    lab.elysium("config", "set", "github.tokenFile", "").ok()
    lab.elysium("up", "--yes").ok()
    found = source(lab)
    assert found["spec"]["provider"] == "github"
    assert found["spec"]["secretRef"]["name"] == "flux-system-app"
    left = coldstarts.secret_or_none(lab, "flux-system", "flux-system") or {}
    assert not {"username", "password"} & set(left)
    forge.commit_files({"clusters/kyrion/more.yaml": CONFIG_MAP})
    coldstarts.until(lambda: fetched(lab) == forge.head(), "Flux has the new commit")
    nothing_to_do(lab)


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more, namespace: default}\n"


def test_a_missing_branch_is_made_from_the_default_branch(lab: labs.Lab) -> None:
    lab.elysium("destroy", "--yes").ok()
    lab.elysium("config", "set", "github.branch", "staging").ok()
    planned = lab.elysium("preview").ok()
    assert "staging" in planned.stdout + planned.stderr
    lab.elysium("up", "--yes").ok()
    forge = lab.forge.with_repository("empty")
    assert fetched(lab) == forge.git("rev-parse", "staging").strip()
    nothing_to_do(lab)


def test_a_deploy_key_takes_the_place_of_the_app(lab: labs.Lab) -> None:
    lab.elysium("config", "set", "flux.auth", "ssh").ok()
    lab.elysium("up", "--yes").ok()
    found = source(lab)
    assert found["spec"]["url"].startswith("ssh://")
    assert found["spec"].get("provider", "generic") == "generic"
    (key,) = lab.forge.with_repository("empty").deploy_keys()
    assert key["title"].startswith("elysium/kyrion/")
    nothing_to_do(lab)
