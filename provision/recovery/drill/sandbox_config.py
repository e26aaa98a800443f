"""A configuration and a repository for a sandbox, made of the real ones. Pure.

Nothing of the real node, GitHub or media library is left in them: addresses,
tokens and credentials are the sandbox's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from provision import errors, safeyaml
from provision.recovery.drill.sandbox import Settings

_PREFIX: Final = "elysium:"


def configuration(text: str, encrypt: Callable[[str], str], given: Settings) -> str:
    """Return ``Pulumi.<cluster>.yaml`` for a sandbox, made of the real one's `text`.

    `given` is what the sandbox offers. Raises `errors.BundleDamagedError` when
    `text` is no such file.
    """
    try:
        data: Any = safeyaml.load(text)
    except yaml.YAMLError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("config"), dict):
        raise errors.BundleDamagedError("the backup's configuration has no 'config'")
    config: dict[str, Any] = data["config"]
    for key in [key for key in config if key.partition(".")[0] in _GONE]:
        del config[key]
    server = _server(config.get(f"{_PREFIX}nodes"))
    node = given.node
    config[f"{_PREFIX}nodes"] = [
        {
            "name": server,
            "host": node.host,
            "port": node.port,
            "user": node.user,
            "hostKey": node.host_key,
            "identityFile": str(node.identity_file),
        }
    ]
    config[f"{_PREFIX}github"] = {"owner": given.owner, "repository": given.repository}
    flux = config.get(f"{_PREFIX}flux")
    if isinstance(flux, dict):  # the sandbox's Flux has a deploy key of the sandbox's forge
        for name in ("auth", "token", "tokenFile"):
            flux.pop(name, None)
    k3s = config.get(f"{_PREFIX}k3s")
    if isinstance(k3s, dict):  # the sandbox's releases have no archive of images
        k3s.pop("airgapImages", None)
    media = config.get(f"{_PREFIX}media")
    if isinstance(media, dict):
        media["remote"] = {"key": {"secure": encrypt(given.media_key.reveal())}}
        media.pop("path", None)
    for key, value in given.config.items():
        section, *rest = key.split(".")
        if section == "media" and not isinstance(media, dict):
            continue
        place = config.setdefault(_PREFIX + section, {})
        for name in rest[:-1]:
            place = place.setdefault(name, {})
        place[rest[-1]] = value
    return yaml.safe_dump(data, sort_keys=False)


_GONE: Final = (f"{_PREFIX}github", f"{_PREFIX}backup", f"{_PREFIX}artifacts")
"""Sections that speak of places outside."""


def _server(nodes: Any) -> str:
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, dict) and node.get("role", "server") == "server":
            return str(node.get("name"))
    raise errors.BundleDamagedError("the backup's configuration names no server")


def repository(files: Mapping[str, str], real: str, ours: str) -> dict[str, str]:
    """Return `files` with the repository's own address `real` replaced by `ours`."""
    pattern = re.compile(rf"{re.escape(real.removesuffix('.git'))}(\.git)?(?=[\s\"']|$)", re.M)
    return {path: pattern.sub(lambda _match: ours, text) for path, text in files.items()}


def sources(files: Mapping[str, str], ours: str) -> tuple[str, ...]:
    """Return addresses of other Git repositories that the files name: a sandbox reaches none."""
    found = {
        match[1]
        for text in files.values()
        if "kind: GitRepository" in text
        for match in re.finditer(r"^\s+url:\s*[\"']?((?:ssh|https?)://[^\s\"']+)", text, re.M)
    }
    return tuple(sorted(found - {ours}))
