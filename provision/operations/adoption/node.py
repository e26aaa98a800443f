"""What was set up by hand on the node: k3s and the media library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from provision import errors
from provision.host import facts as host_facts
from provision.operations.adoption.model import Part, Setting
from provision.operations.stack import Stack
from provision.provider.k3s import datastore as k3s_datastore
from provision.provider.k3s import existing as k3s_existing
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import plan as k3s_plan
from provision.provider.k3s import server as k3s_server
from provision.provider.k3s import service as k3s_service
from provision.provider.media import existing as media_existing
from provision.provider.media import files as media_files
from stacks.components import node as node_component

_OWN = {"tls-san": "tlsSan", "disable": "disable"}
_SILENT = frozenset({*k3s_files.OWN_OPTIONS, "token", "token-file", "node-name"})
"""Options that are told in another way, or that the datastore remembers."""
_DROP_IN = (
    f"move it into a file in {k3s_files.DROP_INS} (root's, 0600) and restart k3s: elysium leaves"
    " those alone, and no secret is written into the configuration in clear"
)


def k3s(stack: Stack) -> tuple[Part, str]:
    """Return the k3s server, and its kubeconfig for use from here (empty: there is none yet).

    Raises `errors.PreflightError` when there is no k3s.
    """
    inputs, _ = k3s_server.K3sServer().check(node_component.k3s_inputs(stack.config))
    session = stack.live.node(stack.config.server.name)
    found = session.facts(k3s_server.fact_request(inputs) | _survey())
    if found.file(k3s_files.UNIT) is None:
        raise errors.PreflightError(
            "there is nothing to take over",
            [
                errors.Problem(
                    message=f"no {k3s_files.UNIT_NAME} is on the node", where=session.name
                )
            ],
            hint="elysium up sets up k3s",
        )
    server = k3s_plan.K3sFacts(node=found, pinned="")
    by_hand = k3s_existing.read(found)
    if by_hand is None:
        part = Part(title="k3s", facts=(("version", server.installed), ("set up by", "elysium")))
        return part, _kubeconfig(stack, found, inputs)
    options = _options(by_hand, found, str(inputs["node"]))
    inputs |= {"options": options}
    # Options can move what else is to be read.
    found = session.facts(k3s_server.fact_request(inputs))
    settings = (
        Setting(key="k3s.version", value=server.installed),
        Setting(key="k3s.datastore", value=_datastore(found, inputs, by_hand)),
        Setting(key="k3s.secretsEncryption", value=_encrypts(found, inputs)),
        *(
            Setting(key=f"k3s.{name}", value=_listed(by_hand.options.get(option)))
            for option, name in _OWN.items()
        ),
        *([Setting(key="k3s.options", value=options)] if options else []),
        *(
            Setting(key=f"k3s.proxy.{name}", value=value)
            for name, value in sorted(by_hand.proxy.items())
        ),
    )
    kubeconfig = _kubeconfig(stack, found, inputs)
    problems = [*_refused(by_hand, session.name)]
    if not kubeconfig:
        where = k3s_files.places(inputs).kubeconfig
        problems.append(
            errors.Problem(
                message=f"{where} is not there",
                where=session.name,
                hint="start k3s: the cluster has to answer to be looked at",
            )
        )
    part = Part(
        title="k3s",
        facts=(
            ("version", server.installed),
            ("set up", "by hand"),
            ("state", found.unit(k3s_files.UNIT_NAME).active),
        ),
        settings=settings,
        notes=(
            *(f"it will be restarted: {why}" for why in by_hand.beyond),
            *_datastore_notes(found, inputs, by_hand),
        ),
        problems=tuple(problems),
    )
    return part, kubeconfig


def media(stack: Stack) -> Iterator[Part]:
    """Yield the media library, if there is one."""
    node = stack.live.node(stack.config.server.name).facts(_survey())
    found = list(media_existing.surveyed(node))
    cfg = stack.config.media
    if cfg is not None and len(found) > 1:
        found = [one for one in found if one[0] == cfg.mount_point] or found
    if not found:
        return
    facts = tuple((at, f"{one.remote.get('type', '?')} {one.path}") for at, one in found)
    if len(found) > 1:
        problem = errors.Problem(
            message="rclone mounts more than one library, and one is supported",
            key="media.mountPoint",
            hint="set media.remote.type and media.mountPoint to say which it is",
        )
        yield Part(title="media library", facts=facts, problems=(problem,))
        return
    at, one = found[0]
    yield Part(
        title="media library",
        facts=(
            ("mount point", at),
            ("remote", f"{one.remote.get('type', '?')} {one.path}"),
            ("rclone", one.version or "names no version"),
        ),
        settings=tuple(_media_settings(at, one)),
        notes=tuple(f"it will be set up anew: {why}" for why in one.beyond),
    )


def _survey() -> host_facts.FactRequest:
    return host_facts.FactRequest(snippets=frozenset({media_existing.survey()}))


def _options(found: k3s_existing.Found, node: host_facts.NodeFacts, name: str) -> dict[str, Any]:
    """Return what belongs among ``k3s.options``."""
    options = {
        key: value
        for key, value in sorted(found.options.items())
        if key not in _SILENT and key not in k3s_files.SECRET_OPTIONS
    }
    (called,) = k3s_existing.canonical(found.options, node)["node-name"]
    if called != name:
        options["node-name"] = called
    return options


def _refused(found: k3s_existing.Found, node: str) -> Iterator[errors.Problem]:
    for name in k3s_files.SECRET_OPTIONS:
        if name in found.options and name not in _SILENT:
            yield errors.Problem(message=f"k3s runs with {name}", where=node, hint=_DROP_IN)
    for name, value in found.proxy.items():
        if re.search(r"//[^/@]+@", value):
            yield errors.Problem(
                message=f"its {name} proxy is given with a password",
                where=node,
                key=f"k3s.proxy.{name}",
                hint="use a proxy without one, or set it up by 'elysium up' yourself",
            )
    if "server" in found.options:
        yield errors.Problem(
            message="k3s joins another server",
            where=node,
            hint="a cluster of one server is supported now",
        )


def _datastore(
    node: host_facts.NodeFacts, inputs: Mapping[str, Any], found: k3s_existing.Found
) -> str:
    """Return the datastore on the disk; without one, the one that the server is to make."""
    there = k3s_datastore.kind(node, {**inputs, "options": found.options})
    return there or ("etcd" if _asks_for_etcd(found) else "sqlite")


def _datastore_notes(
    node: host_facts.NodeFacts, inputs: Mapping[str, Any], found: k3s_existing.Found
) -> Iterator[str]:
    drop_ins = k3s_datastore.drop_ins(node)
    if not (_asks_for_etcd(found) or drop_ins):
        return
    if _datastore(node, inputs, found) == "sqlite":
        where = ", ".join(drop_ins) or "its own settings"
        yield (
            f"it keeps its data in SQLite and sets cluster-init ({where}): k3s would move the data "
            "to etcd at its next start, which cannot be undone. Elysium keeps SQLite"
            + ("; remove cluster-init from that file" if drop_ins else "")
        )


def _asks_for_etcd(found: k3s_existing.Found) -> bool:
    text = str(found.options.get("cluster-init") or "").lower()
    return text in ("true", "t", "1")


def _encrypts(node: host_facts.NodeFacts, inputs: Mapping[str, Any]) -> bool:
    return node.file(k3s_files.places(inputs).encryption) is not None


def _listed(value: Any) -> list[str]:
    texts = value if isinstance(value, list) else [value] if value else []
    return [part.strip() for text in texts for part in str(text).split(",") if part.strip()]


def _kubeconfig(stack: Stack, found: host_facts.NodeFacts, inputs: Mapping[str, Any]) -> str:
    there = found.file(k3s_files.places(inputs).kubeconfig)
    if there is None or not there.content:
        return ""
    return k3s_service.kubeconfig(
        there.text, cluster=stack.config.cluster, address=str(inputs["address"])
    )


def _media_settings(at: str, found: media_existing.Found) -> Iterator[Setting]:
    # The type first: without it, no other key of the remote is one.
    for key in sorted(found.remote, key=lambda key: (key != "type", key)):
        yield Setting(
            key=f"media.remote.{key}",
            value=found.remote[key],
            secret=key not in media_files.PUBLIC_OPTIONS,
        )
    yield Setting(key="media.path", value=found.path)
    yield Setting(key="media.mountPoint", value=at)
    if found.version:
        yield Setting(key="media.rcloneVersion", value=found.version)
    if found.idle is not None:
        yield Setting(key="media.idleTimeout", value=found.idle)
    options = dict(found.options)
    mode = options.pop("vfs-cache-mode", "off")
    yield Setting(key="media.cacheMode", value=mode)
    size = options.pop("vfs-cache-max-size", "off")
    if mode != "off":
        yield Setting(key="media.cacheSize", value=size)
    folder = options.pop("cache-dir", "")
    if folder:
        yield Setting(key="media.cacheDir", value=folder)
    yield Setting(key="media.readOnly", value=options.pop("read-only", "") == "true")
    yield Setting(
        key="media.options",
        value={key: True if value == "true" else value for key, value in options.items()},
    )
