"""Logging in as a GitHub App: from every source, and each way that it can be refused."""

from __future__ import annotations

import datetime

import pytest

from provision import errors
from provision.github import failures, installation, preflight, repository, token
from provision.secret import Secret
from tests.contract.github.conftest import settings
from tests.support import gitserver


@pytest.fixture
def app(forge):
    """The ids and the private key of an app that is installed on the repository."""
    made, private = forge.create_app(repositories=[forge.slug])
    return made, private.reveal()


def credential(made_and_key, **changed):
    made, private = made_and_key
    values = {"app": str(made["id"]), "private_key": Secret(private)} | changed
    return installation.Installation(**values)


def exchanges(forge, since):
    return [c for c in forge.calls(since) if c["path"].endswith("/access_tokens")]


def test_it_registers_a_key_that_belongs_to_no_person(forge, open_as, app):
    since = len(forge.calls())
    repo = open_as(credential(app))
    made = repo.create_deploy_key(
        title="by app", key=gitserver.public_line(gitserver.new_key()), read_only=True
    )
    assert made.added_by.endswith("[bot]")
    repo.head()
    repo.delete_deploy_key(made.id)
    assert len(exchanges(forge, since)) == 1


def test_the_installation_may_be_given_or_looked_up(forge, open_as, app):
    made, _ = app
    since = len(forge.calls())
    assert open_as(credential(app, number=made["installation_id"])).head()
    assert not [c for c in forge.calls(since) if c["path"].endswith("/installation")]
    assert open_as(credential(app, app=made["client_id"])).head()


def test_a_token_that_is_about_to_end_is_renewed(forge, open_as, app, monkeypatch):
    since = len(forge.calls())
    repo = open_as(credential(app))
    repo.head(fresh=True)
    repo.head(fresh=True)
    assert len(exchanges(forge, since)) == 1
    monkeypatch.setattr(installation, "_EARLY", datetime.timedelta(hours=2))
    repo.head(fresh=True)
    assert len(exchanges(forge, since)) == 2


def test_it_is_found_in_configuration_environment_and_file(forge, app, tmp_path):
    made, private = app
    file = tmp_path / "app.pem"
    file.write_text(private)
    number, path = made["installation_id"], str(file)
    base = settings(forge)
    configured = {"id": str(made["id"]), "privateKey": private, "installation": number}
    for cfg, environ in [
        (
            base.model_validate(base.model_dump() | {"app": configured}),
            {"GITHUB_TOKEN": "not-this"},
        ),
        (base, {"GITHUB_APP_ID": str(made["id"]), "GITHUB_APP_PRIVATE_KEY": private}),
        (
            base,
            {
                "GITHUB_APP_ID": made["client_id"],
                "GITHUB_APP_INSTALLATION_ID": str(number),
                "GITHUB_APP_PRIVATE_KEY": private.strip().replace("\n", "\\n"),
            },
        ),
        (base, {"GITHUB_APP_ID": str(made["id"]), "GITHUB_APP_PRIVATE_KEY_FILE": path}),
    ]:
        repo = repository.Repository.open(cfg, token.find_token(cfg, environ), deadline=5)
        assert repo.head()
        repo.close()


def test_a_good_installation_has_no_problems(forge, app):
    found = preflight.check(settings(forge), credential(app), "clusters/kyrion", new_key=True)
    assert found == []


@pytest.mark.parametrize("missing", ["administration", "contents"])
def test_a_missing_permission_is_named_before_anything_is_done(forge, missing):
    permissions = {"metadata": "read", "contents": "write", "administration": "write"}
    permissions[missing] = "read"
    made = forge.create_app(repositories=[forge.slug], permissions=permissions)
    who = credential((made[0], made[1].reveal()))
    found = preflight.check(settings(forge), who, "clusters/kyrion")
    assert [problem.key for problem in found] == ["github.app"]
    assert f"{missing.capitalize()}: write" in f"{found[0].message} {found[0].hint}"


def test_another_apps_key_is_refused(forge, open_as, app):
    _, other = forge.create_app()
    with pytest.raises(failures.TokenError) as caught:
        open_as(credential(app, private_key=other)).head()
    assert "private key" in caught.value.hint
    assert "decoded" in caught.value.detail


def test_what_is_no_key_is_named_and_not_shown(forge, open_as, app):
    canary = "-----BEGIN RSA PRIVATE KEY-----\nY2FuYXJ5\n-----END RSA PRIVATE KEY-----\n"
    with pytest.raises(errors.ConfigError) as caught:
        open_as(credential(app, private_key=Secret(canary))).head()
    assert caught.value.problems[0].key == "github.app.privateKey"
    assert "Y2FuYXJ5" not in f"{caught.value}"


def test_an_installation_that_is_not_there(forge, open_as, app):
    with pytest.raises(failures.TokenError) as caught:
        open_as(credential(app, number=4)).head()
    assert "installation 4" in caught.value.summary
    elsewhere, key = forge.create_app(repositories=["someone/else"])
    with pytest.raises(failures.TokenError) as caught:
        open_as(credential((elsewhere, key.reveal()))).head()
    assert "not installed" in caught.value.summary


def test_a_suspended_installation_is_said(forge, open_as, app):
    forge.admin("apps/suspend", id=app[0]["id"])
    with pytest.raises(failures.ForbiddenError) as caught:
        open_as(credential(app)).head()
    assert "suspended" in caught.value.detail
    assert "unsuspend" in caught.value.hint


def test_the_exchange_is_tried_again_and_said(forge, open_as, app):
    said: list[str] = []
    forge.fault("respond", path="/access_tokens", status=502)
    assert open_as(credential(app), said=said).head()
    assert len(said) == 1


@pytest.mark.parametrize("permission", ["read", "write"])
def test_the_right_to_write_keys_is_asked_for_without_writing(forge, permission):
    permissions = {"contents": "write", "metadata": "read", "administration": permission}
    made, _ = forge.create_token("fine-grained", permissions=permissions)
    forge.register_key(gitserver.public_line(gitserver.new_key()))
    before = forge.deploy_keys()
    found = preflight.check(settings(forge), made, "clusters/kyrion", new_key=True)
    assert forge.deploy_keys() == before
    if permission == "write":
        assert found == []
    else:
        assert ["Administration: write" in problem.hint for problem in found] == [True]


def test_a_classic_token_is_not_asked(forge):
    since = len(forge.calls())
    assert preflight.check(settings(forge), forge.token(), "clusters/kyrion", new_key=True) == []
    assert {call["method"] for call in forge.calls(since)} == {"GET"}
