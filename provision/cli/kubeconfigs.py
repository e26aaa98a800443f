"""Naming a kubeconfig after its cluster, and merging it into the user's own.

Format: Kubernetes' ``client.config.k8s.io/v1``: lists ``clusters``, ``users``
and ``contexts`` of named entries, and ``current-context``. Which file is
meant, and the ``.lock`` beside it while it is written: as kubectl does it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import errors
from provision.config_file import document
from provision.fileio import atomic
from provision.kube import kubeconfig

_MINE = "elysium"
"""How the lock of a run of elysium begins; kubectl's is empty."""
_PATIENCE, _PAUSE = 3.0, 0.1
_STALE = 60.0
"""Seconds after which a lock was left: kubectl and elysium hold it for moments."""
_SECTIONS = (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a merge did. `backup` is the file as it was, if there was one to change."""

    changed: bool
    backup: Path | None = None


def renamed(text: str, name: str) -> dict[str, Any]:
    """Return the current context of the kubeconfig `text`, with everything in it called `name`.

    Raises `errors.StackError` when `text` has no usable current context.
    """
    try:
        data = kubeconfig.document(text)
    except errors.KubeError as error:
        raise errors.StackError(
            "the stack's kubeconfig cannot be used",
            operation="read the kubeconfig",
            detail=error.detail,
            hint=error.hint,
        ) from error
    context = _entry(data, "contexts", data.get("current-context"))
    inner: Any = None if context is None else context["context"]
    if inner is None:
        raise _unusable("it has no current context")
    cluster = _entry(data, "clusters", inner.get("cluster"))
    user = _entry(data, "users", inner.get("user"))
    if cluster is None or user is None:
        raise _unusable("its current context names a cluster or a user that is not in it")
    more = {"namespace": inner["namespace"]} if inner.get("namespace") else {}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": _plain(cluster["cluster"])}],
        "users": [{"name": name, "user": _plain(user["user"])}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **more}}],
        "current-context": name,
    }


def dump(kubeconfig: Mapping[str, Any]) -> str:
    """Return `kubeconfig` as YAML."""
    return document.render(
        document.Document(
            path=Path("kubeconfig"), data=document.block(kubeconfig), text="- a:\n- b"
        )
    )


def target(environ: Mapping[str, str], home: Path) -> Path:
    """Return the file to merge into: of ``KUBECONFIG`` the first that exists, or the first."""
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if not named:
        return home / ".kube" / "config"
    return next((path for path in named if path.exists()), named[0])


def has(path: Path, name: str) -> bool:
    """Return whether the kubeconfig at `path` has a context called `name`."""
    if not path.exists():
        return False
    return _entry(document.parse(path).data, "contexts", name) is not None


def merge(path: Path, new: Mapping[str, Any], name: str, *, use: bool) -> Merged:
    """Put the entries called `name` of `new` into the kubeconfig at `path`.

    Entries of that name that are there are replaced, all else stays, comments
    included. The current context changes only if `use`, or if there is none.
    The file is replaced at once, with mode 0600; what it was is kept beside it.

    Raises `errors.ConfigError` when the file cannot be read, understood or
    written, or when another program is writing it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path):
            before = path.read_text(encoding="utf-8") if path.exists() else None
            doc = document.parse_text(path, before or "")
            changed = _put_all(doc, new, name, use=use or not doc.data.get("current-context"))
            if not changed:
                path.chmod(0o600)
                return Merged(changed=False)
            backup = None
            if before is not None:
                backup = path.with_name(path.name + ".elysium-backup")
                atomic.write(backup, before, mode=0o600)
            atomic.write(path, document.render(doc), mode=0o600)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise errors.ConfigError(f"{path} cannot be changed", [], hint=reason) from error
    return Merged(changed=True, backup=backup)


def _put_all(doc: document.Document, new: Mapping[str, Any], name: str, *, use: bool) -> bool:
    data, changed = doc.data, False
    for key in ("apiVersion", "kind"):
        if not data.get(key):
            data[key] = new[key]
            changed = True
    for section, _ in _SECTIONS:
        if data.get(section) is None:
            data[section] = document.block([])
        if not isinstance(data[section], list):
            problem = errors.Problem(message="a list is expected", where=str(doc.path), key=section)
            raise errors.ConfigError(f"{doc.path} is no kubeconfig", [problem])
        changed |= _put(data[section], _entry(new, section, name))
    if use and data.get("current-context") != name:
        data["current-context"] = name
        changed = True
    return changed


def _put(entries: Any, entry: Any) -> bool:
    """Make `entry` the only one of its name among `entries`; return whether that was news."""
    found = [i for i, old in enumerate(entries) if _name(old) == entry["name"]]
    if len(found) == 1 and _plain(entries[found[0]]) == entry:
        return False
    for index in reversed(found[1:]):
        del entries[index]
    if found:
        entries[found[0]] = document.block(entry)
    else:
        entries.append(document.block(entry))
    return True


def _entry(data: Mapping[str, Any], section: str, name: Any) -> Any:
    entries: Any = data.get(section)
    for entry in entries if isinstance(entries, list) else ():
        kind = dict(_SECTIONS)[section]
        if name and _name(entry) == name and hasattr(entry.get(kind), "keys"):
            return entry
    return None


def _name(entry: Any) -> Any:
    return entry.get("name") if hasattr(entry, "keys") else None


def _plain(value: Any) -> Any:
    if hasattr(value, "keys"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _unusable(why: str) -> errors.StackError:
    return errors.StackError(
        "the stack's kubeconfig cannot be used",
        operation="read the kubeconfig",
        detail=why,
        hint="elysium up reads it from the node again",
    )


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold kubectl's lock on `path`: the file `<path>.lock`, which kubectl holds for moments.

    A lock of elysium's own that a killed run left is removed. Raises `errors.ConfigError` for
    one that stays.
    """
    lock = path.with_name(path.name + ".lock")
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            break
        except FileExistsError:
            if _is_ours_and_left(lock):
                lock.unlink(missing_ok=True)
            elif time.monotonic() >= deadline:
                raise _held(path, lock) from None
            else:
                time.sleep(_PAUSE)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{_MINE} {os.getpid()} {platform.node()}\n")
        yield
    finally:
        lock.unlink(missing_ok=True)


def _is_ours_and_left(lock: Path) -> bool:
    """Return whether a run of elysium on this machine made `lock`, and has ended."""
    try:
        words = lock.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    if len(words) != 3 or words[0] != _MINE or words[2] != platform.node():
        return False
    try:
        os.kill(int(words[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return False


def _held(path: Path, lock: Path) -> errors.ConfigError:
    """Return the error for a lock that another program holds, or left."""
    try:
        age = time.time() - lock.stat().st_mtime
    except OSError:
        age = 0.0
    if age < _STALE:
        return errors.ConfigError(
            f"another program is changing {path}",
            [],
            hint=f"try again; if nothing is running, remove {lock}",
        )
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() - age))
    return errors.ConfigError(
        f"{lock} is stale: a program that was changing {path} ended without removing it",
        [],
        hint=f"it is there since {since}, and kubectl holds it for moments only: rm {lock}",
    )
