"""Where the token comes from."""

from __future__ import annotations

import pytest

from provision import config, errors
from provision.github import installation, token
from provision.secret import Secret


def settings(**values: object) -> config.GitHub:
    return config.GitHub(owner="me", repository="home", **values)


def gh(folder, body: str) -> dict[str, str]:
    program = folder / "gh"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def test_the_order_of_sources(tmp_path):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    environ = {"GITHUB_TOKEN": "from-env", "GH_TOKEN": "from-gh-env"} | gh(tmp_path, "echo cli")
    both = settings(token=Secret("configured"), token_file=str(file))
    assert token.find_token(both, environ).reveal() == "configured"
    assert token.find_token(settings(token_file=str(file)), environ).reveal() == "from-file"
    assert token.find_token(settings(), environ).reveal() == "from-env"
    del environ["GITHUB_TOKEN"]
    assert token.find_token(settings(), environ).reveal() == "from-gh-env"
    del environ["GH_TOKEN"]
    assert token.find_token(settings(), environ).reveal() == "cli"


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://api.github.com", "github.com"),
        ("https://ghe.example.com/api/v3", "ghe.example.com"),
    ],
)
def test_gh_is_asked_about_the_right_host(tmp_path, base_url, host):
    environ = gh(tmp_path, 'echo "$*" | /usr/bin/tr " " ,')
    found = token.find_token(settings(base_url=base_url), environ)
    assert found.reveal() == f"auth,token,--hostname,{host}"


def test_no_token_anywhere_is_said(tmp_path):
    with pytest.raises(errors.ConfigError) as caught:
        token.find_token(settings(), gh(tmp_path, "echo leaked; exit 1"))
    assert "GITHUB_TOKEN" in caught.value.hint
    assert "leaked" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "two words\n", None])
def test_a_bad_token_file_is_named_and_not_passed_over(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(errors.ConfigError) as caught:
        token.find_token(settings(token_file=str(file)), {"GITHUB_TOKEN": "x"})
    assert str(file) in str(caught.value)
    assert "words" not in (content or "") or "two words" not in str(caught.value)


def test_an_app_without_a_key_is_said():
    with pytest.raises(errors.ConfigError) as caught:
        token.find_token(settings(app={"id": "12"}), {"GITHUB_TOKEN": "not this one"})
    assert caught.value.problems[0].key == "github.app.privateKey"


def test_an_app_comes_after_tokens_of_the_environment(tmp_path):
    environ = {"GITHUB_APP_ID": "12", "GITHUB_APP_PRIVATE_KEY": "pem"} | gh(tmp_path, "echo cli")
    found = token.find_token(settings(), environ)
    assert found == installation.Installation(app="12", private_key=Secret("pem\n"))
    assert "pem" not in f"{found}"
    assert token.find_token(settings(), environ | {"GH_TOKEN": "first"}) == Secret("first")


def test_an_installation_that_is_no_number_is_said():
    with pytest.raises(errors.ConfigError) as caught:
        token.find_token(settings(), {"GITHUB_APP_ID": "1", "GITHUB_APP_INSTALLATION_ID": "x"})
    assert "GITHUB_APP_INSTALLATION_ID" in caught.value.summary


def test_an_apps_key_file_that_cannot_be_read_is_named(tmp_path):
    app = {"id": "1", "privateKeyFile": str(tmp_path / "absent.pem")}
    with pytest.raises(errors.ConfigError) as caught:
        token.find_token(settings(app=app), {})
    assert "absent.pem" in str(caught.value)
