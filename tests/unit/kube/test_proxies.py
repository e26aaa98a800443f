"""Which requests go through the proxy of the environment: as the HTTP library decides."""

from __future__ import annotations

import httpx2
import pytest

from provision.kube import proxies

HOSTS = (
    "10.1.2.3",
    "node.lan",
    "sub.node.lan",
    "xnode.lan",
    "NODE.lan",
    "[fd00::7]",
    "localhost",
    "127.0.0.1",
)
ENTRIES = (
    "*",
    "",
    "10.0.0.0/8",
    "10.1.2.0/24",
    "10.1.2.3",
    "10.1.2.3/32",
    "10.1.2.3:6443",
    "10.1.2.3:443",
    "10.1.*",
    "192.168.0.1, 10.1.2.3",
    " 10.1.2.3 ",
    "node.lan",
    "NODE.LAN",
    ".node.lan",
    "*.node.lan",
    "*.lan",
    ".lan",
    "lan",
    "node.lan:6443",
    "node.lan:443",
    "https://node.lan",
    "http://node.lan",
    "all://node.lan",
    "https://10.1.2.3:6443",
    "fd00::/8",
    "fd00::7",
    "[fd00::7]",
    "[fd00::7]:6443",
    "[fd00::7]:443",
    "fd00::8",
    "localhost",
    "localhost,127.0.0.1",
    "127.0.0.0/8",
    "10.0.0.0/33",
    "node.lan/8",
    "10.1.2.3,node.lan,::1",
)


@pytest.mark.parametrize("entries", ENTRIES)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_no_proxy_means_what_it_means_to_the_library(
    monkeypatch: pytest.MonkeyPatch, entries: str, variable: str
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, "http://ops:secret@proxy.lan:3128")
    monkeypatch.setenv("NO_PROXY", entries)
    with httpx2.Client(verify=False) as client:
        for host in HOSTS:
            url = f"https://{host}:6443"
            direct = client._transport_for_url(httpx2.URL(url)) is client._transport
            assert proxies.of(url) == ("" if direct else "http://proxy.lan:3128"), url
