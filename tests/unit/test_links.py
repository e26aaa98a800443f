"""A connection to the API of GitHub or of Kubernetes that stalls, breaks, drips or is damaged.

Each fault meets each phase of a connection: before it is made, before a request, within an
answer. Every call ends within its stated time, names the address, and works once the fault
is gone. `tests/links` does the same with whole commands.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from provision import config, errors
from provision.artifacts import download
from provision.github import api, repository, transport
from provision.host import limits
from provision.kube import client, kubeconfig, objects, wire
from provision.sandbox.forge import authority
from provision.secret import Secret
from tests.support import faultproxy, hostile

# Python leaves a TLS socket open that was reset before its handshake began.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

LARGE = "x" * 300_000
SECONDS = 1.0
LATE = 15.0
"""Seconds in which each call ends here: its own, and a loaded machine's."""
MODES = ("stall", "swallow", "reset", "close", "slow", "garble")
PHASES = ("connecting", "asking", "answering")


@dataclass(frozen=True, kw_only=True)
class Link:
    """A server behind a proxy, and a call to it that returns `LARGE`."""

    proxy: faultproxy.Proxy
    address: str
    call: Callable[[], object]


def _answer(method: str, path: str) -> hostile.Reply:
    del method
    if path == "/version":
        return hostile.reply({"gitVersion": LARGE})
    reference = {"ref": "refs/heads/main", "object": {"sha": "c0" * 20, "type": "commit"}}
    return hostile.reply(reference | {"padding": LARGE})


@pytest.fixture
def between(tmp_path: pathlib.Path) -> Iterator[tuple[faultproxy.Proxy, str]]:
    tls = authority.context(tmp_path, "127.0.0.1")
    with (
        hostile.serve(_answer, tls) as server,
        faultproxy.Proxy(int(server.url.rpartition(":")[2])) as proxy,
    ):
        proxy.rate = 300.0
        yield proxy, f"https://127.0.0.1:{proxy.port}"


@pytest.fixture
def kubernetes(
    between: tuple[faultproxy.Proxy, str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Link]:
    proxy, address = between
    monkeypatch.setattr(wire, "BODY_TIME", SECONDS)
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": address, **_trust(tmp_path)}}],
        "users": [{"name": "u", "user": {"token": "canary"}}],
    }
    endpoint = kubeconfig.parse(json.dumps(text))
    with client.KubeClient(endpoint, timeout=SECONDS) as made:
        yield Link(proxy=proxy, address=address, call=made.version)


def _trust(folder: pathlib.Path) -> dict[str, str]:
    import base64

    pem = authority.ca_file(folder).read_bytes()
    return {"certificate-authority-data": base64.b64encode(pem).decode()}


@pytest.fixture
def github(
    between: tuple[faultproxy.Proxy, str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Link]:
    proxy, address = between
    monkeypatch.setattr(transport, "REQUEST_TIME", SECONDS)
    monkeypatch.setattr(transport, "READ_TIMEOUT", SECONDS)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    cfg = config.GitHub(
        owner="me",
        repository="home",
        base_url=address,
        ca_file=str(authority.ca_file(tmp_path)),
    )
    opened = repository.Repository.open(cfg, Secret("canary"), deadline=2 * SECONDS)
    with contextlib.closing(opened) as repo:
        yield Link(proxy=proxy, address=address, call=lambda: repo.head("main", fresh=True))


@pytest.fixture(params=["kubernetes", "github"])
def link(request: pytest.FixtureRequest) -> Link:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("mode", MODES)
def test_a_fault_of_the_connection(link: Link, mode: faultproxy.Mode, phase: str) -> None:
    if phase == "connecting":
        link.proxy.mode = mode
    else:
        assert link.call()
        if phase == "asking":
            link.proxy.mode = mode
        else:
            link.proxy.after(mode, down=50_000)
    began = time.monotonic()
    with pytest.raises(errors.ElysiumError) as caught:
        link.call()
    assert time.monotonic() - began < LATE
    assert isinstance(caught.value, (errors.KubeError, errors.CodeHostError))
    assert link.address in caught.value.summary, str(caught.value)
    assert caught.value.hint and "canary" not in str(caught.value)
    link.proxy.heal()
    assert link.call()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "gopher://user:hush@proxy:1"),
        ("ALL_PROXY", "socks5://user:hush@127.0.0.1:1"),
        ("HTTPS_PROXY", "http://user:hush@proxy:port"),
        ("HTTPS_PROXY", "http://user:hush@127.0.0.1:1"),
    ],
)
def test_a_proxy_of_the_environment_that_cannot_be_used(
    link: Link, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(errors.ElysiumError) as caught:
        link.call()
    assert isinstance(caught.value, (errors.KubeError, errors.CodeHostError))
    assert link.address in caught.value.summary and "hush" not in str(caught.value)


def test_the_page_of_the_deadlines_is_true() -> None:
    page = pathlib.Path(__file__).parents[2].joinpath("docs", "deadlines.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    said = [(row[0], int(row[2].split()[0])) for row in rows[1:]]
    ssh = limits.DEFAULT
    kube = inspect.signature(client.KubeClient).parameters["timeout"].default
    assert said == [
        ("SSH", ssh.connect),
        ("SSH", ssh.login),
        ("SSH", ssh.silence + 2),
        ("SSH", ssh.stall),
        ("SSH", ssh.answer),
        ("GitHub", transport.READ_TIMEOUT),
        ("GitHub", transport.REQUEST_TIME),
        ("GitHub", api.DEADLINE),
        ("Kubernetes API", kube),
        ("Kubernetes API", kube + wire.BODY_TIME),
        ("Kubernetes API", objects._RETRY_FOR),
        ("downloads", download.CONNECT),
        ("downloads", download.SILENCE),
        ("downloads", download.TIME),
    ]
