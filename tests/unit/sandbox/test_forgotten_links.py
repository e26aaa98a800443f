"""What a node left in its network goes, also while the kernel still removes a part of it."""

from __future__ import annotations

import json

import pytest

from provision import errors
from provision.sandbox import jobs, network

NET = network.Network(name="x", number=1, place=2)


class Kernel:
    """Stands for ip(8) in a namespace; `fading` links are listed once and then gone."""

    def __init__(self, *links: str, fading: tuple[str, ...] = ()) -> None:
        self.links = ["lo", "host0", *links]
        self.fading = fading
        self.refuses = ""

    def run(self, argv: tuple[str, ...], **_: object) -> str:
        if argv[:2] == ("ip", "-j"):
            listed = json.dumps([{"ifname": link} for link in self.links])
            self.links = [link for link in self.links if link not in self.fading]
            return listed
        if "delete" in argv:
            if argv[-1] not in self.links or argv[-1] == self.refuses:
                raise errors.ElysiumError(f"Cannot find device {argv[-1]}")
            self.links.remove(argv[-1])
        return ""


def forgotten(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(jobs, "run", kernel.run)
    network.forget_node(NET)
    return kernel.links


def test_every_link_of_the_node_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forgotten(Kernel("cni0", "veth1"), monkeypatch) == ["lo", "host0"]


def test_a_link_that_goes_by_itself_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel("cni0", "veth1", "veth2", fading=("veth1",))
    assert forgotten(kernel, monkeypatch) == ["lo", "host0"]


def test_a_link_that_stays_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel("cni0", "veth1")
    kernel.refuses = "veth1"
    with pytest.raises(errors.ElysiumError, match="veth1"):
        forgotten(kernel, monkeypatch)
