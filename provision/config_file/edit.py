"""Changing one value and nothing else: comments, order and layout stay."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provision import errors, safejson
from provision.config_file import comments, document, paths, reader, schema
from provision.config_file.tree import Crypter


def set_value(
    path: Path,
    key: str,
    value: str,
    *,
    secret: bool = False,
    crypter: Callable[[], Crypter] | None = None,
) -> None:
    """Set `key` (``nodes[0].host``, ``elysium:k3s.version``) in a stack file.

    `value` is read as what the key expects: a number, true or false, a list
    (JSON, YAML or comma-separated), keys and values (JSON or YAML), else a
    text. With `secret` it is written as ``secure:``, encrypted by what
    `crypter` returns, whose salt is added to a file that has none.

    Raises `errors.ConfigError`, with the file as it was, when the key is
    unknown, holds a secret and `secret` is not given (or the reverse), or
    when the value would add a problem to the file.
    """
    at = paths.parse(key)
    parsed = document.parse(path)
    _, before, _ = reader.validate(parsed, None)
    known = schema.find(at)
    if known is not None:
        _check_secret(at, known, secret)
    new = _typed(value, known, at)
    if secret:
        if crypter is None:
            raise errors.ConfigError("no passphrase is at hand to encrypt the value", [])
        opened = crypter()
        new = {"secure": opened.encrypt(value)}
        _add_salt(parsed.data, getattr(opened, "salt", ""))
    _put(parsed, at, new)
    rendered = document.render(parsed)
    _, after, _ = reader.validate(document.parse_text(path, rendered), None)
    told = {(p.key, p.message) for p in before}
    # Lines would be those of a file that does not exist.
    added = [dataclasses.replace(p, where="") for p in after if (p.key, p.message) not in told]
    if added:
        raise errors.ConfigError(f"{paths.text(at)} was not set", added)
    document.write(parsed)


def _check_secret(at: paths.Path, known: schema.Key, secret: bool) -> None:
    name = paths.text(at, namespace=False)
    if known.kind == "secret" and not secret:
        raise errors.ConfigError(
            f"{name} is a secret and is not written as plain text",
            [],
            hint=f"elysium config set --secret '{name}' asks for it without showing it",
        )
    takes_secrets = known.kind == "secret" or "secret text" in known.type
    if secret and not takes_secrets and known.kind != "any":
        raise errors.ConfigError(
            f"{name} is not a secret: it is shown and used as plain text",
            [],
            hint="leave --secret out",
        )


def _typed(value: str, known: schema.Key | None, at: paths.Path) -> Any:
    if known is None:
        return value  # the check afterwards names the key it should have been
    if known.kind == "number" and re.fullmatch(r"-?\d{1,18}", value.strip()):
        return int(value)
    if known.kind == "switch" and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if known.kind in ("list", "mapping"):
        return _structure(value, known, at)
    if known.type == schema.ANYTHING and value[:1] in ("[", "{"):
        return _structure(value, known, at)
    if known.kind == "any" and re.fullmatch(r"true|false|-?\d{1,18}", value):
        return json.loads(value) if not re.match(r"-?0\d", value) else value
    return value


def _structure(value: str, known: schema.Key, at: paths.Path) -> Any:
    try:
        data = document.parse_text(Path("value"), f"value: {value}").data["value"]
    except errors.ConfigError:
        data = None
    if known.kind == "list" and (data is None or isinstance(data, (str, int, float))):
        return [part.strip() for part in value.split(",") if part.strip()]
    if data is None or isinstance(data, str):
        raise errors.ConfigError(
            f"{paths.text(at)} holds keys and values",
            [],
            hint=f"set one below it, such as {_example(known, at)}, or give all as JSON",
        )
    return data


def _example(known: schema.Key, at: paths.Path) -> str:
    below = known.children[0] if known.children else "name"
    return paths.text((*at, below), namespace=False)


def _put(parsed: document.Document, at: paths.Path, new: Any) -> None:
    data = parsed.data
    if data.get("config") is None:
        data["config"] = document.block({})
    block = data["config"]
    if not hasattr(block, "keys"):
        raise errors.ConfigError(f"'config' in {parsed.path.name} does not hold keys", [])
    name = f"{paths.NAMESPACE}:{at[0]}"
    if len(at) > 1 and isinstance(block.get(name), str):
        comments.replace(block, name, _opened(block[name], name))
    container: Any = block
    keys: list[str | int] = [name, *at[1:]]
    while len(keys) > 1 and _child(container, keys[0]) is not None:
        container = container[keys.pop(0)]
        _check_container(container, keys[0], at)
    for part in reversed(keys[1:]):
        if isinstance(part, int) and part != 0:
            raise _no_item(at, 0)
        new = {part: new} if isinstance(part, str) else [new]
    key = keys[0]
    new = document.block(new)
    if _has(container, key):
        comments.replace(container, key, new)
    elif isinstance(key, int) and key != len(container):
        raise _no_item(at, len(container))
    else:
        comments.append(container, key, new)


def _check_container(container: Any, key: str | int, at: paths.Path) -> None:
    if hasattr(container, "keys") and list(container) == ["secure"]:
        raise errors.ConfigError(
            f"{paths.text(at)} lies inside one encrypted value",
            [],
            hint="write its parts as keys of their own, each secret one as 'secure:'",
        )
    if not hasattr(container, "append" if isinstance(key, int) else "keys"):
        needed = "a list" if isinstance(key, int) else "keys and values"
        raise errors.ConfigError(
            f"{paths.text(at)} does not fit what is there: {needed} would be needed", []
        )


def _has(container: Any, key: str | int) -> bool:
    return key < len(container) if isinstance(key, int) else key in container


def _child(container: Any, key: str | int) -> Any:
    return container[key] if _has(container, key) else None


def _no_item(at: paths.Path, length: int) -> errors.ConfigError:
    return errors.ConfigError(
        f"{paths.text(at)}: the list has {length} items, so the next is [{length}]", []
    )


def _opened(text: str, name: str) -> Any:
    """Turn the JSON text that upstream's command line wrote into keys and values."""
    try:
        value = safejson.loads(text)
    except ValueError:
        raise errors.ConfigError(f"{name} is neither keys and values nor JSON", []) from None
    return document.block(value)


def _add_salt(data: Any, salt: str) -> None:
    if salt and not data.get("encryptionsalt"):
        data.insert(0, "encryptionsalt", salt)
