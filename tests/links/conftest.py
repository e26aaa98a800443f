"""One sandbox for whole commands over connections that fail, reached through proxies only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from provision.sandbox import tryout
from tests.support import faultproxy, linked, night
from tests.support import lab as labs

_ALL = (
    "import json, sys; from provision.cli import main;"
    " sys.exit(next((bad for words in json.loads(sys.argv[1]) if (bad := main.main(words))), 0))"
)


@dataclass(kw_only=True)
class World:
    """The lab, and the links to it."""

    lab: labs.Lab
    links: linked.Links
    at: str
    settings: dict[str, str]

    @property
    def node(self) -> str:
        """The node as it is configured, ``host:port``."""
        return f"{self.at}:{self.links.proxies['sshd'].port}"

    def address(self, link: str) -> str:
        """Return the address that a message about a link has to name."""
        return f"{self.at}:{self.links.proxies[link].port}"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with labs.sandbox("links") as sandbox:
        lab = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        lab.environ |= night.PHRASE
        node, at = sandbox.node, sandbox.host_address
        assert sandbox.forge is not None
        api = urlsplit(sandbox.forge.api)
        assert api.port is not None
        with (
            faultproxy.Proxy(node.port, node.host, at=at) as sshd,
            faultproxy.Proxy(api.port, str(api.hostname), at=at) as github,
            faultproxy.Proxy(6443, node.host, at=at, own_port=6443) as kubernetes,
        ):
            proxies = {"github": github, "kubernetes": kubernetes, "sshd": sshd}
            links = linked.Links(proxies=proxies, every=bool(os.environ.get("ELYSIUM_LINKS")))
            through = sandbox.forge.api.replace(f":{api.port}", f":{github.port}")
            settings = tryout.settings(sandbox) | {
                "github.baseUrl": through,
                "flux.interval": "2s",
                "flux.timeout": "60",
                "kube.tunnel": "never",
                "k3s.tlsSan": f'["{at}"]',
            }
            world = World(lab=lab, links=links, at=at, settings=settings)
            _configure(world)
            yield world


def _configure(world: World) -> None:
    lab = world.lab
    arguments = tryout.init_arguments(lab.sandbox, lab.cluster)
    arguments[arguments.index("--host") + 1] = world.node
    commands = [[word for word in arguments if word != "--gpu"]]
    commands += [["config", "set", key, value] for key, value in world.settings.items()]
    # In one process: starting twenty takes longer than what they do.
    done = subprocess.run(
        [sys.executable, "-c", _ALL, json.dumps(commands)],
        cwd=lab.folder,
        env=lab.environ,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    key = tryout.media_key(lab.sandbox)
    lab.elysium("config", "set", "--secret", "media.remote.key", stdin=key + "\n").ok()
