"""A k3s server that was set up by hand: what it runs with. Pure, but for the facts it asks for.

Facts: k3s' install script writes a unit whose ``ExecStart`` holds the flags and
an environment file with the ``K3S_*`` variables of that run; k3s reads
``config.yaml`` first, then the environment, then the flags, which win (k3s
documentation, installation/configuration and cli/server).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provision.host import facts, scripts
from provision.provider.k3s import binaries, files

SNIPPET = "k3s-found"

_VARIABLES = {
    "K3S_AGENT_TOKEN": "agent-token",
    "K3S_CLUSTER_INIT": "cluster-init",
    "K3S_CLUSTER_RESET": "cluster-reset",
    "K3S_CONFIG_FILE": "config",
    "K3S_DATASTORE_CAFILE": "datastore-cafile",
    "K3S_DATASTORE_CERTFILE": "datastore-certfile",
    "K3S_DATASTORE_ENDPOINT": "datastore-endpoint",
    "K3S_DATASTORE_KEYFILE": "datastore-keyfile",
    "K3S_DATA_DIR": "data-dir",
    "K3S_KUBECONFIG_GROUP": "write-kubeconfig-group",
    "K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
    "K3S_KUBECONFIG_OUTPUT": "write-kubeconfig",
    "K3S_NODE_NAME": "node-name",
    "K3S_RESOLV_CONF": "resolv-conf",
    "K3S_SELINUX": "selinux",
    "K3S_TOKEN": "token",
    "K3S_TOKEN_FILE": "token-file",
    "K3S_URL": "server",
    "K3S_VPN_AUTH": "vpn-auth",
}
_SHORT = {"t": "token", "c": "config", "d": "data-dir", "o": "write-kubeconfig", "s": "server"}
_PROXIES = {"HTTP_PROXY": "http", "HTTPS_PROXY": "https", "NO_PROXY": "noProxy"}
_SPLIT = frozenset({"tls-san", "disable", "node-ip", "node-external-ip", "cluster-dns"})
_ELSEWHERE = frozenset({"token", "token-file"})
"""What the datastore remembers: k3s takes it from there when it is not told."""
_ALWAYS = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a hand-made server runs with.

    `options` are k3s options by their names in ``config.yaml``; those that
    are secret may be among them. `beyond` says what of it the stack's
    configuration has no word for. `since` is when the process started
    (seconds since 1970), 0 where it does not run.
    """

    options: Mapping[str, Any] = field(repr=False)
    proxy: Mapping[str, str] = field(repr=False)
    beyond: tuple[str, ...]
    addresses: frozenset[str]
    since: int


def snippet() -> tuple[str, str]:
    """Return the fact snippet that looks at a server which elysium did not set up."""
    unit, env = scripts.quote([files.UNIT]), scripts.quote([files.ENV])
    header = scripts.quote([files.HEADER])
    script = f"""\
[ -f {unit} ] && ! grep -qF -- {header} {unit} || exit 0
sed 's/^/env /' {env} 2>/dev/null
echo "addresses $(hostname -I 2>/dev/null)"
t=$(systemctl show --value -p ExecMainStartTimestamp {files.UNIT_NAME})
[ -n "$t" ] && echo "since $(date -d "$t" +%s)"
exit 0
"""
    return SNIPPET, script


def read(found: facts.NodeFacts) -> Found | None:
    """Return what the server runs with; None where there is none, or it is ours."""
    unit, config = found.file(files.UNIT), found.file(files.CONFIG)
    if unit is None or unit.kind != "file" or unit.text.startswith(files.HEADER):
        return None
    lines = found.snippet(SNIPPET).splitlines()
    said = dict(line.split(" ", 1) for line in lines if line.startswith(("addresses ", "since ")))
    beyond: list[str] = []
    options = _from_config(config.text if config is not None else "", beyond)
    environment, proxy = _from_environment(
        [line[4:] for line in lines if line.startswith("env ")], beyond
    )
    binary = f"{binaries.folder(found)}/k3s"
    options |= environment | _from_unit(unit.text, binary, beyond)
    since = said.get("since", "").strip()
    return Found(
        options=options,
        proxy=proxy,
        beyond=tuple(beyond),
        addresses=frozenset(said.get("addresses", "").split()),
        since=int(since) if since.isdigit() else 0,
    )


def differences(
    found: Found, wanted: Mapping[str, Any], proxy: Mapping[str, Any], node: facts.NodeFacts
) -> tuple[str, ...]:
    """Return in which options the server differs from `wanted` (`files.settings`).

    Options are named, values are not: some are secret.
    """
    names = {*found.addresses, node.system.hostname, node.system.hostname.lower(), *_ALWAYS}
    have = canonical(found.options, node, names)
    want = canonical(wanted, node, names)
    differing = sorted(key for key in have.keys() | want.keys() if have.get(key) != want.get(key))
    said = [f"{key} is {_how(key, have, want)}" for key in differing]
    if {k: v for k, v in proxy.items() if v} != dict(found.proxy):
        said.append("its proxy is another")
    return (*found.beyond, *said)


def newer_files(found: Found, node: facts.NodeFacts) -> tuple[str, ...]:
    """Return the files that were changed after the process started: it runs without that."""
    paths = [f"{binaries.folder(node)}/k3s", files.CONFIG, files.UNIT, files.ENV]
    paths += [f"{files.DROP_INS}/{name}" for name in node.listing(files.DROP_INS) or ()]
    there = [node.files[path] for path in paths if path in node.files]
    return tuple(one.path for one in there if found.since and one.mtime > found.since)


def canonical(
    options: Mapping[str, Any], node: facts.NodeFacts, own_names: Iterable[str] = ()
) -> dict[str, frozenset[str] | tuple[str, ...]]:
    """Return options so that those with the same effect are equal.

    The node's own names and addresses are in the certificate in any case, and
    a node is called after its host unless told otherwise.
    """
    result: dict[str, frozenset[str] | tuple[str, ...]] = {}
    for key, value in options.items():
        if value is None or value is False or key in _ELSEWHERE:
            continue
        texts = tuple(_text(each) for each in (value if isinstance(value, list) else [value]))
        if texts in ((), ("false",), ("",)):
            continue
        if key in _SPLIT:
            parts = frozenset(part.strip() for text in texts for part in text.split(","))
            result[key] = parts - {""} - set(own_names if key == "tls-san" else ())
        else:
            result[key] = texts
    result["node-name"] = tuple(
        text.lower() for text in result.get("node-name", (node.system.hostname,))
    )
    return {key: value for key, value in result.items() if value}


def _how(key: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> str:
    if key not in want:
        return "set on the node and not in k3s.options"
    return "another" if key in have else "not set on the node"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_config(text: str, beyond: list[str]) -> dict[str, Any]:
    import yaml

    from provision import safeyaml

    try:
        data = safeyaml.load(text) or {}
    except yaml.YAMLError:
        data = None
    if not isinstance(data, dict):
        beyond.append(f"{files.CONFIG} cannot be read")
        return {}
    return {str(key): value for key, value in data.items()}


def _from_environment(
    lines: Iterable[str], beyond: list[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    options: dict[str, Any] = {}
    proxy: dict[str, str] = {}
    for line in lines:
        name, separator, raw = line.strip().partition("=")
        if not separator or name.startswith("#"):
            continue
        value = raw.strip()
        if value[:1] in "\"'" and value[-1:] == value[:1]:
            value = value[1:-1]
        if name in _VARIABLES:
            options[_VARIABLES[name]] = value
        elif name.upper() in _PROXIES:
            proxy[_PROXIES[name.upper()]] = value
        else:
            beyond.append(f"{files.ENV} sets {name}")
    if "server" in options:
        beyond.append("it joins another server")
    return options, {key: value for key, value in proxy.items() if value}


def _from_unit(text: str, binary: str, beyond: list[str]) -> dict[str, Any]:
    joined = re.sub(r"\\\s*\n\s*", " ", text)
    commands = re.findall(r"^ExecStart=(.*)$", joined, re.MULTILINE)
    try:
        words = shlex.split(commands[-1]) if commands else []
    except ValueError:
        words = []
    if words[:2] != [binary, "server"]:
        beyond.append(f"{files.UNIT_NAME} does not start {binary} server")
        return {}
    return arguments(words[2:], beyond)


def arguments(words: list[str], beyond: list[str]) -> dict[str, Any]:
    """Return the options among a server's arguments; what is none is added to `beyond`."""
    options: dict[str, Any] = {}
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-"):
            beyond.append(f"{files.UNIT_NAME} gives k3s the argument {word!r}")
            continue
        name, separator, value = word.lstrip("-").partition("=")
        name = _SHORT.get(name, name)
        given: Any = value
        if not separator:
            given = True
            if at < len(words) and not words[at].startswith("-"):
                given = words[at]
                at += 1
        known = options.get(name)
        if known is None:
            options[name] = given
        else:
            options[name] = [*(known if isinstance(known, list) else [known]), given]
    return options
