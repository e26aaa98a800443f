"""What the models' types cannot say: forms of texts, and what is merely odd."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provision import config, errors, hostkeys
from provision.config_file import paths, schema
from provision.config_file.tree import Tree

_COMPONENTS = (*config.DEFAULT_COMPONENTS, *config.IMAGE_COMPONENTS, "source-watcher")

_RECIPIENT = re.compile(r"age1[a-z0-9]{58}|ssh-(ed25519|rsa) [A-Za-z0-9+/]+={0,2}( .*)?")
_SIGNER = re.compile(
    r"SHA256:[A-Za-z0-9+/]{43}|(ssh-(ed25519|rsa)|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/]+={0,2}( .*)?"
)
_DURATION = re.compile(r"(\d+(\.\d+)?(ms|s|m|h))+")
_SIZE = re.compile(r"off|\d+(\.\d+)?([BKMGTP]i?)?", re.IGNORECASE)

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
"""Names of a namespace and of other objects (RFC 1123, as Kubernetes checks them)."""
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_REPOSITORY = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")

_FORMS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "backup.recipients[]",
        _RECIPIENT,
        "a public key that age knows is expected: 'age1…', 'ssh-ed25519 …' or 'ssh-rsa …'",
    ),
    (
        "backup.verifyKeys[]",
        _SIGNER,
        "a public SSH key such as 'ssh-ed25519 AAAA…' or its 'SHA256:…' fingerprint is expected",
    ),
    (
        "github.owner",
        _OWNER,
        "the name of a user or an organisation is expected: letters, digits and -",
    ),
    (
        "github.repository",
        _REPOSITORY,
        "the name of a repository is expected: letters, digits, '.', '_' and -",
    ),
    *(
        (f"{key}.namespace", _LABEL, "small letters, digits and - are expected, at most 63")
        for key in ("flux", "sealing")
    ),
    *(
        (f"flux.{key}", _SUBDOMAIN, "small letters, digits, - and . are expected, at most 253")
        for key in ("source", "kustomization", "secret")
    ),
    ("flux.interval", _DURATION, "a duration such as '1m' or '1h30m' is expected"),
    ("media.cacheSize", _SIZE, "a size such as '20G' or '500M' is expected"),
)

_KEY_SHAPE = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( .*)?")
"""A key whose data may still be wrong: the connection refuses it, with the server's key."""
NO_HOST_KEY = "no-host-key"
"""The kind of the warning that known_hosts may make needless."""
_HOST_KEYS = ("nodes[].hostKey", "nodes[].jump.hostKey", "backup.copies[].ssh.hostKey")
_GIT_HOST_KEYS = "github.gitHostKeys[]"

_SECRET_OPTION = re.compile(r"(^|_)(key|pass|password|token|secret|sas_url|.*_secret|.*_key)$")
"""Names of rclone options that hold a credential."""


_REF_BAD = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
"""What no reference of Git may hold (git-check-ref-format(1))."""


def branch_problem(name: str) -> str:
    """Return why Git refuses `name` as a branch's name, or an empty text."""
    bad = _REF_BAD.search(name)
    if bad:
        return f"{name!r} is no branch name: Git allows no {bad.group()!r} in one"
    if name in ("", "@", "HEAD"):
        return f"{name!r} is no branch name"
    if name.startswith(("-", "/")) or name.endswith(("/", ".")):
        return f"{name!r} is no branch name: Git allows no - or / first, and no / or . last"
    if any(part.startswith(".") or part.endswith(".lock") for part in name.split("/")):
        return f"{name!r} is no branch name: Git allows no part that begins with . or ends in .lock"
    return ""


def problems(tree: Tree) -> Iterator[errors.Problem]:
    """Yield what is well typed and still cannot be right."""
    for path, value in leaves(tree.values):
        if not isinstance(value, str):
            continue
        generic = _generic(path)
        for name, form, message in _FORMS:
            if generic == name and value and not form.fullmatch(value):
                yield tree.problem(path, message)
        if generic in (*_HOST_KEYS, _GIT_HOST_KEYS) and value:
            yield from _pin_problems(tree, path, value, whole=generic == _GIT_HOST_KEYS)
        if generic == "github.branch" and (reason := branch_problem(value)):
            yield tree.problem(path, reason, "see git-check-ref-format(1)")
        if generic in ("flux.components[]", "flux.componentsExtra[]") and value not in _COMPONENTS:
            close = difflib.get_close_matches(value, _COMPONENTS, n=1)
            known = "known: " + ", ".join(_COMPONENTS)
            yield tree.problem(
                path,
                f"{value!r} is no component of Flux",
                f"did you mean {close[0]!r}?" if close else known,
            )


def _pin_problems(
    tree: Tree, path: paths.Path, value: str, *, whole: bool
) -> Iterator[errors.Problem]:
    """Yield why `value` pins no host key. `whole`: its fingerprint is not enough."""
    try:
        pins = hostkeys.parse_pins(value)
    except ValueError as error:
        if not _KEY_SHAPE.fullmatch(value):
            yield tree.problem(path, str(error))
        return
    if whole and any(not pin.blob for pin in pins):
        yield tree.problem(
            path,
            "the whole key is expected, not its fingerprint: Flux needs it",
            "take the line of ssh-keyscan whose fingerprint (ssh-keygen -lf -) is this one",
        )


def warnings(tree: Tree, loaded: config.Config) -> Iterator[errors.Problem]:
    """Yield what works and should be looked at: plaintext secrets, files not there."""
    folder = tree.document.path.parent
    for path, value in leaves(tree.values):
        if not isinstance(value, str) or not value or tree.is_secure(path):
            continue
        if _is_secret(path):
            yield tree.problem(
                path,
                "a secret lies here as plain text",
                f"encrypt it: elysium config set --secret {paths.text(path, namespace=False)}",
            )
        elif _names_file(path, value) and not (folder / Path(value).expanduser()).exists():
            yield tree.problem(path, f"there is no file {value}")
    if loaded.github.base_url.lower().startswith("http:") and not loaded.github.allow_http:
        yield tree.problem(
            ("github", "baseUrl"),
            "the token is not sent to an http:// address",
            "use https://; or, in a network that you trust:"
            " elysium config set github.allowHttp true",
        )
    for index, node in enumerate(loaded.nodes):
        if not node.host_key:
            found = tree.problem(
                ("nodes", index),
                "no hostKey: the node's identity is not pinned",
                f"elysium init, or: elysium config set nodes[{index}].hostKey 'ssh-ed25519 AAAA…'",
            )
            yield dataclasses.replace(found, kind=NO_HOST_KEY)


def leaves(value: Any, path: paths.Path = ()) -> Iterator[tuple[paths.Path, Any]]:
    """Yield every value that is neither mapping nor list, with its path."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, str(name)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def _is_secret(path: paths.Path) -> bool:
    key = schema.find(path)
    if key is not None and key.kind == "secret":
        return True
    in_remote = len(path) == 3 and path[:2] == ("media", "remote")
    return in_remote and _SECRET_OPTION.search(str(path[2])) is not None


def _names_file(path: paths.Path, value: str) -> bool:
    if _SIGNER.fullmatch(value):  # backup.signingKey may be the public key of an SSH agent's
        return False
    return _generic(path) in (
        "backup.signingKey",
        "nodes[].identityFile",
        "nodes[].jump.identityFile",
        "backup.copies[].ssh.identityFile",
        "github.caFile",
        "github.tokenFile",
        "github.app.privateKeyFile",
        "flux.manifests",
        "flux.tokenFile",
    )


def _generic(path: paths.Path) -> str:
    return ".".join(schema.ITEM if isinstance(p, int) else p for p in path).replace(".[]", "[]")
