"""The forge's own controls, below ``/_forge/``: for the sandbox and for tests.

Not GitHub's, not in the call log, never subject to a fault. Every request
carries the secret of ``ROOT/admin`` (0600) in ``X-Forge-Admin``.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

from provision.sandbox.forge import access, hooks, store
from provision.sandbox.forge.app import Forge
from provision.sandbox.forge.messages import Response

PREFIX = "/_forge/"
Values = dict[str, Any]


def secret(forge: Forge) -> str:
    """Return the secret that controls this forge."""
    return (forge.root / "admin").read_text().strip()


def _add_fault(forge: Forge, values: Values) -> Any:
    return dataclasses.asdict(forge.faults.add(**values))


def _list_faults(forge: Forge, values: Values) -> Any:
    del values
    return [dataclasses.asdict(fault) for fault in forge.faults.all()]


def _clear_faults(forge: Forge, values: Values) -> Any:
    forge.faults.remove(int(values.get("id", 0)))
    (forge.root / "ssh-fault").unlink(missing_ok=True)
    _set_ssh(forge, {"mode": "ok"})
    return None


def _set_ssh(forge: Forge, values: Values) -> Any:
    """Make the sshd work (``ok``), refuse keys, fail sessions (``error``), or be ``down``."""
    mode = values.get("mode", "ok")
    if mode not in ("ok", "refuse", "error", "down"):
        raise ValueError(f"no such mode: {mode}")
    fault = forge.root / "ssh-fault"
    if mode == "error":
        fault.write_text(str(values.get("message", "ERROR: Internal error.")))
    else:
        fault.unlink(missing_ok=True)
    forge.ssh.refuse_keys = mode == "refuse"
    forge.write_authorized_keys()
    if mode == "down":
        forge.on_main_thread(forge.ssh.stop)
    elif not forge.ssh.running:
        forge.on_main_thread(forge.ssh.start)
    return {"running": forge.ssh.running}


def _create_token(forge: Forge, values: Values) -> Any:
    arguments = dict(values)
    kind = str(arguments.pop("kind", "classic"))
    login = str(arguments.pop("login", forge.options.owner))
    for key in ("scopes", "repositories"):
        if key in arguments:
            arguments[key] = tuple(arguments[key])
    text, token = forge.tokens.create(kind, login, **arguments)
    return {"token": text, "id": token.id}


def _revoke_token(forge: Forge, values: Values) -> Any:
    """Delete a token; deploy keys that a personal token registered go with it.

    "REST API endpoints for deploy keys": deleting the personal token deletes
    its keys; an app installation's keys stay.
    """
    token_id = str(values["id"])
    found = forge.tokens.revoke(token_id)
    with forge.store.changing():
        for repository in forge.store.repositories():
            repository.keys = [
                key
                for key in repository.keys
                if key.token_id != token_id or values.get("kind") == "app"
            ]
        forge.write_authorized_keys()
    return {"revoked": found}


def _change_token(forge: Forge, values: Values) -> Any:
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    token = forge.tokens.change(str(arguments.pop("id")), **arguments)
    return {"changed": token is not None}


def _create_app(forge: Forge, values: Values) -> Any:
    """Make a GitHub App with one installation; its private key is told only here."""
    with forge.store.changing():
        number, installation_id = forge.store.new_id(), forge.store.new_id()
    private, app = forge.apps.create(
        number=number,
        installation_id=installation_id,
        slug=str(values.get("slug", "elysium")),
        owner=str(values.get("owner", forge.options.owner)),
        permissions=dict(values.get("permissions") or access.DEFAULT_PERMISSIONS),
        repositories=tuple(values.get("repositories", ())),
        created_at=store.timestamp(),
    )
    made = {"id": app.id, "client_id": app.client_id, "installation_id": app.installation_id}
    return {**made, "private_key": private}


def _suspend_app(forge: Forge, values: Values) -> Any:
    forge.apps.suspend(int(values["id"]), bool(values.get("suspended", True)))


def _limit(forge: Forge, values: Values) -> Any:
    forge.limits.set(
        str(values.get("token", "")),
        remaining=int(values["remaining"]),
        reset_in=int(values.get("reset_in", 3600)),
    )
    return None


def _add_repository(forge: Forge, values: Values) -> Any:
    record = forge.add_repository(
        str(values["owner"]), str(values["name"]), private=bool(values.get("private", True))
    )
    return {"slug": record.slug, "path": str(forge.git(record).path)}


def _rules(forge: Forge, values: Values) -> Any:
    """Put ruleset rules (``pull_request``, ``non_fast_forward``) in force on a branch.

    `bypass` is what ``current_user_can_bypass`` of the ruleset is to say.
    """
    owner, _, name = str(values["slug"]).partition("/")
    record = forge.store.find(owner, name)
    if record is None:
        raise ValueError(f"no such repository: {values['slug']}")
    with forge.store.changing():
        record.rules[str(values["branch"])] = [str(rule) for rule in values["rules"]]
        record.bypass = str(values.get("bypass", "never"))
        hooks.write_protection(forge.git(record).path, record)
    return None


def _keys_disabled(forge: Forge, values: Values) -> Any:
    """Have the owner allow deploy keys, or not."""
    owner, _, name = str(values["slug"]).partition("/")
    record = forge.store.find(owner, name)
    if record is None:
        raise ValueError(f"no such repository: {values['slug']}")
    with forge.store.changing():
        record.keys_disabled = bool(values["disabled"])
    return None


def _calls(forge: Forge, values: Values) -> Any:
    return forge.calls.read(int(values.get("since", 0)))


def _git_log(forge: Forge, values: Values) -> Any:
    return forge.git_log.read(int(values.get("since", 0)))


_ACTIONS: dict[str, Callable[[Forge, Values], Any]] = {
    "faults/add": _add_fault,
    "faults/list": _list_faults,
    "faults/clear": _clear_faults,
    "ssh": _set_ssh,
    "tokens/create": _create_token,
    "tokens/revoke": _revoke_token,
    "tokens/change": _change_token,
    "apps/create": _create_app,
    "apps/suspend": _suspend_app,
    "limit": _limit,
    "repositories/add": _add_repository,
    "rules": _rules,
    "keys-disabled": _keys_disabled,
    "calls": _calls,
    "git-log": _git_log,
}


def handle(forge: Forge, method: str, path: str, given: str, data: bytes) -> Response:
    """Carry out ``POST /_forge/ACTION`` with a JSON object of arguments."""
    if not hmac.compare_digest(given.encode(), secret(forge).encode()):
        return Response(status=403, body={"message": "The admin secret is wrong."})
    action = _ACTIONS.get(path.removeprefix(PREFIX))
    if action is None or method != "POST":
        return Response(status=404, body={"message": f"There is no {method} {path}."})
    try:
        result = action(forge, json.loads(data) if data else {})
    except (KeyError, TypeError, ValueError, re.error) as error:
        return Response(status=422, body={"message": str(error)})
    return Response(body={"result": result})
