"""Deploy keys. Page: "REST API endpoints for deploy keys".

A key belongs to one repository of the whole forge ("Managing deploy keys"):
registering it again, anywhere, is a 422 ``key is already in use``. The sshd
knows a change before its answer is sent.
"""

from __future__ import annotations

from typing import Any

from provision.sandbox.forge import bodies, sshkeys
from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import (
    DOCS,
    ApiError,
    Request,
    Response,
    invalid,
    not_found,
    paginate,
)
from provision.sandbox.forge.routing import Route
from provision.sandbox.forge.store import DeployKey, timestamp

_PAGE = f"{DOCS}/deploy-keys/deploy-keys"
_CREATE = f"{_PAGE}#create-a-deploy-key"


def _body(forge: Forge, request: Request, target: Target, key: DeployKey) -> dict[str, Any]:
    return bodies.deploy_key(request.base, target.record, key, forge.ssh.last_used(key.id))


def list_keys(forge: Forge, request: Request, target: Target) -> Response:
    """``GET /repos/{owner}/{repo}/keys``: a page of ``deploy-key``."""
    page, headers = paginate(request, list(target.record.keys))
    return Response(body=[_body(forge, request, target, k) for k in page], headers=headers)


def get_key(forge: Forge, request: Request, target: Target) -> Response:
    """``GET /repos/{owner}/{repo}/keys/{key_id}``."""
    number = request.names["key_id"]
    key = target.record.key(int(number)) if number.isdigit() else None
    if key is None:
        raise not_found(f"{_PAGE}#get-a-deploy-key")
    return Response(body=_body(forge, request, target, key))


def _refuse(message: str) -> ApiError:
    error = {"resource": "PublicKey", "code": "custom", "field": "key", "message": message}
    return invalid("Validation Failed", _CREATE, [error])


def create_key(forge: Forge, request: Request, target: Target) -> Response:
    """``POST /repos/{owner}/{repo}/keys``: 201 with a ``deploy-key``, ``Location`` its address."""
    title = request.text("title")
    try:
        key_text, fingerprint = sshkeys.normalise(request.required("key"))
    except ValueError as error:
        raise _refuse(
            "key is invalid. You must supply a key in OpenSSH public key format"
        ) from error
    read_only = request.body.get("read_only", False)
    if not isinstance(read_only, bool):
        raise invalid("Invalid request.\n\nFor 'read_only', a boolean is expected.", _CREATE)
    if target.record.keys_disabled:
        message = "Deploy keys are disabled for this repository"
        error = {"resource": "PublicKey", "code": "custom", "message": message}
        raise invalid("Validation Failed", _CREATE, [error])
    with forge.store.changing():
        for repository in forge.store.repositories():
            if any(key.fingerprint == fingerprint for key in repository.keys):
                raise _refuse("key is already in use")
        key = DeployKey(
            id=forge.store.new_id(),
            key=key_text,
            title=title or key_text.split()[0],
            read_only=read_only,
            created_at=timestamp(),
            added_by=request.caller.login,
            fingerprint=fingerprint,
            token_id=request.caller.token.id if request.caller.token else "",
        )
        target.record.keys.append(key)
        forge.write_authorized_keys()
    body = _body(forge, request, target, key)
    return Response(status=201, body=body, headers={"Location": body["url"]})


def delete_key(forge: Forge, request: Request, target: Target) -> Response:
    """``DELETE /repos/{owner}/{repo}/keys/{key_id}``: 204; the sshd refuses it from now on."""
    number = request.names["key_id"]
    with forge.store.changing():
        key = target.record.key(int(number)) if number.isdigit() else None
        if key is None:
            raise not_found(f"{_PAGE}#delete-a-deploy-key")
        target.record.keys.remove(key)
        forge.write_authorized_keys()
    return Response(status=204)


_KEYS = "/repos/{owner}/{repo}/keys"
_SCOPES = ("repo",)
ROUTES = (
    Route(
        method="GET",
        pattern=_KEYS,
        repository_handler=list_keys,
        permission="administration=read",
        scopes=_SCOPES,
        documentation=f"{_PAGE}#list-deploy-keys",
    ),
    Route(
        method="POST",
        pattern=_KEYS,
        repository_handler=create_key,
        permission="administration=write",
        scopes=_SCOPES,
        documentation=_CREATE,
    ),
    Route(
        method="GET",
        pattern=_KEYS + "/{key_id}",
        repository_handler=get_key,
        permission="administration=read",
        scopes=_SCOPES,
        documentation=f"{_PAGE}#get-a-deploy-key",
    ),
    Route(
        method="DELETE",
        pattern=_KEYS + "/{key_id}",
        repository_handler=delete_key,
        permission="administration=write",
        scopes=_SCOPES,
        documentation=f"{_PAGE}#delete-a-deploy-key",
    ),
)
