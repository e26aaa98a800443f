"""A drill's stage has nothing of the real places in it, and its report says what happened."""

from __future__ import annotations

import http.server
import json
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from provision import errors
from provision.recovery.drill import outcome, page, report, sandbox_config
from tests.support import memorysandbox

REAL = "ssh://git@github.com/me/homelab.git"
OURS = "ssh://git@10.231.1.1:2222/homelab/homelab.git"
CONFIGURATION = """\
encryptionsalt: v1:salt
config:
  elysium:nodes:
    - {name: pi, role: agent, host: 192.168.1.9}
    - name: kyrion
      host: 192.168.1.10
      user: admin
      sudoPassword: {secure: REALSUDO}
      identityFile: /home/me/.ssh/id
  elysium:github:
    owner: me
    repository: homelab
    token: {secure: REALTOKEN}
  elysium:media:
    remote: {type: azureblob, account: realaccount, sas_url: {secure: REALSAS}}
    path: realcontainer/films
    mountPoint: /mnt/media
  elysium:backup:
    copies: [{directory: /mnt/realstick}]
  elysium:flux:
    interval: 2m
  elysium:k3s:
    version: v1.36.2+k3s1
    airgapImages: true
"""


def test_nothing_of_the_real_places_is_left() -> None:
    given = memorysandbox.Settings()
    text = sandbox_config.configuration(CONFIGURATION, lambda value: f"v1:{value[::-1]}", given)
    for word in ("192.168", "REAL", "realacc", "realcon", "realstick", "admin", "/home/me"):
        assert word not in text, text
    config = yaml.safe_load(text)["config"]
    (node,) = config["elysium:nodes"]
    assert node == {
        "name": "kyrion",
        "host": "10.231.1.2",
        "port": 2022,
        "user": "root",
        "hostKey": "ssh-ed25519 AAAA",
        "identityFile": "/sandbox/login",
    }
    forge = config["elysium:github"]
    assert (forge["owner"], forge["repository"]) == ("homelab", "rehearsed")
    assert config["elysium:github"]["baseUrl"] == "https://10.231.1.1:8080"
    assert config["elysium:media"]["remote"]["key"] == {"secure": "v1:yek-xobdnas"}
    assert config["elysium:media"]["mountPoint"] == "/mnt/media"
    assert config["elysium:flux"] == {"interval": "2m"}
    assert config["elysium:k3s"]["version"] == "v1.36.2+k3s1"
    assert "airgapImages" not in config["elysium:k3s"], "the sandbox has no such archive"


def test_a_stack_without_media_gets_none() -> None:
    data = yaml.safe_load(CONFIGURATION)
    del data["config"]["elysium:media"]
    text = sandbox_config.configuration(yaml.safe_dump(data), str, memorysandbox.Settings())
    assert "elysium:media" not in text


def test_a_configuration_that_is_none_is_damaged() -> None:
    for text in (
        "[]",
        "config: 3",
        "config: {}",
        CONFIGURATION.replace("- name: kyrion", "- role: agent"),
    ):
        with pytest.raises(errors.BundleDamagedError):
            sandbox_config.configuration(text, str, memorysandbox.Settings())


def test_the_repositorys_own_address_becomes_the_sandboxs() -> None:
    files = {
        "sync.yaml": f"kind: GitRepository\nspec:\n  url: {REAL}\n",
        "short.yaml": f'kind: GitRepository\nspec:\n  url: "{REAL.removesuffix(".git")}"\n',
        "other.yaml": "kind: GitRepository\nspec:\n  url: https://github.com/me/homelab-two.git\n",
        "near.yaml": f"url: {REAL.removesuffix('.git')}-two.git\n",
    }
    found = sandbox_config.repository(files, REAL, OURS)
    assert OURS in found["sync.yaml"] and f'"{OURS}"' in found["short.yaml"]
    assert found["other.yaml"] == files["other.yaml"] and found["near.yaml"] == files["near.yaml"]
    assert sandbox_config.sources(found, OURS) == ("https://github.com/me/homelab-two.git",)


def made(**changes: object) -> outcome.Outcome:
    values: dict[str, object] = {
        "cluster": "kyrion",
        "file": "kyrion-20260301T020304Z.tar.gz.age",
        "made": "2026-03-01T02:03:04Z",
        "age_seconds": 93784.0,
        "began": "2026-03-02T04:06:08Z",
        "mode": "rebuild",
        "seconds": 120.0,
        "recovery_seconds": 80.0,
        "steps": (
            outcome.Step(name="sandbox", does="start a sandbox", at=0, seconds=30),
            outcome.Step(name="k3s", does="bring up k3s", at=30, seconds=40),
        ),
        "kustomizations": 4,
        "ready": 4,
        "secrets": 3,
        "equal": 3,
    }
    return outcome.Outcome.model_validate(values | changes)


class Strict(HTMLParser):
    """Collects the tags, and fails on what a page of evidence may not have."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe", "object", "base", "form")
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@given(words=st.text(min_size=1, max_size=60))
@settings(deadline=None)
def test_no_text_becomes_part_of_the_page(words: str) -> None:
    plain, read = Strict(), Strict()
    plain.feed(page.render(made(problems=("x",), losses=("x",))))
    read.feed(page.render(made(problems=(words,), losses=(words,))))
    assert read.tags == plain.tags


def test_the_page_says_how_it_ended() -> None:
    good, bad = Strict(), Strict()
    good.feed(page.render(made()))
    assert "passed" in good.text and "1 d 2 h" in good.text and "1 min 20 s" in good.text
    bad.feed(page.render(made(problems=("Secret arkham/token is missing",))))
    assert "failed" in bad.text and "Secret arkham/token is missing" in bad.text
    assert "passed" not in bad.text


def test_both_files_are_written_whole(tmp_path: Path) -> None:
    data, shown = report.write(made(problems=("x",)), tmp_path / "new")
    assert data.name == "drill-kyrion-20260302T040608Z.json"
    found = json.loads(data.read_bytes())
    assert (found["passed"], found["schema"], found["recoverySeconds"]) == (False, 1, 80.0)
    assert shown.read_text().startswith("<!doctype html>")
    assert json.loads(made().dump())["passed"] is True


def test_a_webhook_gets_the_report() -> None:
    got: list[bytes] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            status = self.path.removeprefix("/")
            self.send_response(204 if status == "hook" else int(status))
            self.send_header("Location", "/hook")
            self.end_headers()

        def do_GET(self) -> None:
            """Answer a redirect that was followed: without the report."""
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        report.tell(made(), f"{url}/hook")
        for status in (500, 404, 301, 302, 303, 307, 308):
            with pytest.raises(errors.ElysiumError, match="did not take"):
                report.tell(made(), f"{url}/{status}")
        server.shutdown()
        thread.join()
    assert json.loads(got[0])["cluster"] == "kyrion"
    with pytest.raises(errors.ConfigError):
        report.tell(made(), "file:///etc/passwd")


@pytest.mark.parametrize("auth", ["token", "app"])
def test_a_drill_logs_in_with_a_deploy_key_of_the_sandbox(auth: str) -> None:
    data = yaml.safe_load(CONFIGURATION)
    data["config"]["elysium:flux"] = {
        "auth": auth,
        "token": {"secure": "REALLOGIN"},
        "tokenFile": "/home/me/token",
        "interval": "2m",
    }
    data["config"]["elysium:github"]["app"] = {"id": "7", "privateKey": {"secure": "REALKEY"}}
    text = sandbox_config.configuration(yaml.safe_dump(data), str, memorysandbox.Settings())
    config = yaml.safe_load(text)["config"]
    assert config["elysium:flux"] == {"interval": "2m"}
    assert "app" not in config["elysium:github"]
    assert "REAL" not in text
