"""Every command, option, key and link that a user reads exists."""

from __future__ import annotations

import pathlib
from typing import Final

import pytest

from tests.support import mentions

FOREIGN: Final = {
    "bench": ("--only", "--record", "--rounds", "--shape", "--size"),
    "CSS of the drill's page": (
        *("--bad", "--bar", "--good", "--ink", "--line", "--paper", "--soft", "--warn"),
    ),
    "flux": ("--export", "--watch-all-namespaces"),
    "git": ("--depth",),
    "k3s": (
        *("--cluster-reset", "--cluster-reset-restore-path", "--data-dir", "--disable-agent"),
        "--token",
    ),
    "Flux controllers": ("--feature-gates",),
    "kubectl": ("--for", "--kubeconfig", "--timeout"),
    "kustomize": ("--enable-helm",),
    "pulumi": ("--show-sames",),
    "rclone": ("--vfs-cache-mode",),
    "systemd and util-linux": (
        *("--collect", "--no-block", "--no-pager", "--quiet", "--unit", "--value", "--wait"),
    ),
}
"""Options of other programs that texts mention without the program's name before them."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NO_KEYS: Final = words(
    """
    backup.age flux.https flux.objects flux.repository flux.sync github.com github.v3
    gpu.capacity gpu.device gpu.intel.com k3s.cattle.io k3s.env k3s.server k3s.service k3s.yaml
    media.automount media.mount sealing.key sealing.seed
    """
)
"""Hosts, files, units, API groups and modules that look like configuration keys."""

WRAPPED: Final = "commands.md"
"""Click's own help, whose lines may end within an option: `test_reference` holds it."""


def named(path: pathlib.Path) -> str:
    return str(path.relative_to(mentions.ROOT))


def every(option: dict[str, tuple[str, ...]]) -> frozenset[str]:
    return frozenset(name for names in option.values() for name in names)


def wrong(text: str, *, options: bool) -> list[str]:
    found = [
        *mentions.wrong_commands(text),
        *mentions.wrong_keys(text, NO_KEYS),
        *mentions.wrong_pages(text),
    ]
    return [*found, *mentions.wrong_options(text, every(FOREIGN))] if options else found


@pytest.mark.parametrize(
    "path", mentions.modules(), ids=lambda p: str(p.relative_to(mentions.ROOT))
)
def test_strings_mention_what_exists(path: pathlib.Path) -> None:
    assert [
        f"line {line}: {fault}"
        for line, text in mentions.literals(path)
        # An argument of another program is no sentence, and the sandbox runs many.
        for fault in wrong(
            text, options=" " in text and text[0] != "-" and "sandbox" not in path.parts
        )
    ] == []


@pytest.mark.parametrize("path", mentions.pages(), ids=named)
def test_pages_mention_what_exists(path: pathlib.Path) -> None:
    assert [
        f"line {number}: {fault}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for fault in wrong(line, options=path.name != WRAPPED)
    ] == []


@pytest.mark.parametrize("path", mentions.pages(), ids=named)
def test_links_lead_somewhere(path: pathlib.Path) -> None:
    assert list(mentions.wrong_links(path)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pin them with --git-host-key, as", "no command has the option --git-host-key"),
        ("run 'elysium rotate deploykey'", "elysium rotate deploykey is no command"),
        ("elysium upp --yes makes it", "elysium upp is no command"),
        ("`elysium stack look`", "elysium stack look is no command"),
        ("elysium backup list --purge", "elysium backup list has no option --purge"),
        ("set nodes[0].hostkey in it", "the configuration has no key nodes[0].hostkey"),
        ("github.tokenfile", "the configuration has no key github.tokenfile"),
        ("see docs/nowhere.md", "there is no page docs/nowhere.md"),
        ("run `elysium up --target x --no-refres`", "elysium up has no option --no-refres"),
    ],
)
def test_the_check_can_fail(text: str, fault: str) -> None:
    assert fault in wrong(text, options=True)


@pytest.mark.parametrize(
    "text",
    [
        "run 'elysium up --yes', then elysium kubeconfig --merge.",
        "elysium config set nodes[0].hostKey 'ssh-ed25519 AAAA…'",
        f"elysium up --target {mentions.HOLE}: github.app.privateKeyFile, k3s.options.node-name",
        "elysium makes it, elysium is ready; elysium",
        "elysium --engine upstream up; elysium backup makes one",
    ],
)
def test_what_exists_passes(text: str) -> None:
    assert wrong(text, options=True) == []


def test_links_that_lead_nowhere_are_found(tmp_path: pathlib.Path) -> None:
    (tmp_path / "there.md").write_text("# A heading, here\n")
    page = tmp_path / "page.md"
    page.write_text("[a](there.md#a-heading-here) [b](gone.md) [c](there.md#no) [d](https://x.y)\n")
    assert list(mentions.wrong_links(page)) == [
        "gone.md does not exist",
        "there.md#no: there is no such heading",
    ]
