"""GitHub Apps and their installations. Page: "REST API endpoints for GitHub Apps".

Callers prove themselves with a JSON web token (`provision.sandbox.forge.apps`).
An installation's token lasts one hour and can do no more than the installation.
"""

from __future__ import annotations

import datetime
from typing import Any

from provision.sandbox.forge import access, apps, bodies, journal
from provision.sandbox.forge.app import Forge
from provision.sandbox.forge.messages import DOCS, ApiError, Request, Response, invalid, not_found
from provision.sandbox.forge.routing import Handler, Route

_PAGE = f"{DOCS}/apps/apps"
_CREATE = f"{_PAGE}#create-an-installation-access-token-for-an-app"
_HOUR = 3600


def _app(forge: Forge, request: Request) -> apps.App:
    return forge.apps.authenticate(request.names["authorization"])


def get_app(forge: Forge, request: Request) -> Response:
    """``GET /app``, schema ``integration``."""
    app = _app(forge, request)
    page = f"{bodies.site(request.base)}/apps/{app.slug}"
    body = {
        "id": app.id,
        "client_id": app.client_id,
        "slug": app.slug,
        "node_id": bodies.node_id("Integration", app.id),
        "owner": bodies.simple_user(request.base, app.owner),
        "name": app.slug,
        "description": None,
        "external_url": page,
        "html_url": page,
        "created_at": app.created_at,
        "updated_at": app.created_at,
        "permissions": app.permissions,
        "events": [],
        "installations_count": 1,
    }
    return Response(body=body)


def _installation(request: Request, app: apps.App) -> dict[str, Any]:
    """Schema ``installation``."""
    url = f"{request.base}/app/installations/{app.installation_id}"
    page = f"{bodies.site(request.base)}/settings/installations/{app.installation_id}"
    suspended = app.created_at if app.suspended else None
    return {
        "id": app.installation_id,
        "account": bodies.simple_user(request.base, app.owner),
        "repository_selection": "selected" if app.repositories else "all",
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{request.base}/installation/repositories",
        "html_url": page,
        "app_id": app.id,
        "client_id": app.client_id,
        "app_slug": app.slug,
        "target_id": bodies.user_id(app.owner),
        "target_type": "User",
        "permissions": app.permissions,
        "events": [],
        "created_at": app.created_at,
        "updated_at": app.created_at,
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": bodies.simple_user(request.base, app.owner) if suspended else None,
        "suspended_at": suspended,
    }


def list_installations(forge: Forge, request: Request) -> Response:
    """``GET /app/installations``: the one there is."""
    return Response(body=[_installation(request, _app(forge, request))])


def _installed(forge: Forge, request: Request, page: str) -> apps.App:
    app = _app(forge, request)
    if request.names["installation_id"] != str(app.installation_id):
        raise not_found(page)
    return app


def get_installation(forge: Forge, request: Request) -> Response:
    """``GET /app/installations/{installation_id}``."""
    page = f"{_PAGE}#get-an-installation-for-the-authenticated-app"
    return Response(body=_installation(request, _installed(forge, request, page)))


def get_repository_installation(forge: Forge, request: Request) -> Response:
    """``GET /repos/{owner}/{repo}/installation``: 404 where the app is not installed."""
    app = _app(forge, request)
    record = forge.store.find(request.names["owner"], request.names["repo"])
    if record is None or not app.reaches(record):
        raise not_found(f"{_PAGE}#get-a-repository-installation-for-the-authenticated-app")
    return Response(body=_installation(request, app))


def get_user_installation(forge: Forge, request: Request) -> Response:
    """``GET /users/{username}/installation``: 404 where the app is not installed."""
    app = _app(forge, request)
    if request.names["username"].casefold() != app.owner.casefold():
        raise not_found(f"{_PAGE}#get-a-user-installation-for-the-authenticated-app")
    return Response(body=_installation(request, app))


def get_organization_installation(forge: Forge, request: Request) -> Response:
    """``GET /orgs/{org}/installation``: 404, because every account here is a user's."""
    _app(forge, request)
    raise not_found(f"{_PAGE}#get-an-organization-installation-for-the-authenticated-app")


def _permissions(request: Request, app: apps.App) -> dict[str, str]:
    wanted = request.body.get("permissions")
    if not wanted:
        return app.permissions
    for name, level in dict(wanted).items():
        granted = access.LEVELS[app.permissions.get(name, "none")]
        if access.LEVELS.get(level, 99) > granted:
            message = "The permissions requested are not granted to this installation."
            raise invalid(message, _CREATE)
    return {"metadata": "read", **wanted}


def _repositories(forge: Forge, request: Request, app: apps.App) -> tuple[str, ...]:
    names: list[Any] = request.body.get("repositories") or []
    numbers: list[Any] = request.body.get("repository_ids") or []
    reached = [record for record in forge.store.repositories() if app.reaches(record)]
    chosen = [r for r in reached if r.name in names or r.id in numbers]
    if len(chosen) < len(names) + len(numbers):
        message = (
            "There is at least one repository that does not exist or is not accessible to the"
            " parent installation."
        )
        raise invalid(message, _CREATE)
    return tuple(record.slug for record in chosen) or app.repositories


def create_token(forge: Forge, request: Request) -> Response:
    """``POST /app/installations/{installation_id}/access_tokens``: 201, ``installation-token``."""
    app = _installed(forge, request, _CREATE)
    if app.suspended:
        raise ApiError(403, "This installation has been suspended", documentation=_CREATE)
    permissions = _permissions(request, app)
    repositories = _repositories(forge, request, app)
    expires_at = journal.seconds() + _HOUR
    text, _ = forge.tokens.create(
        "app",
        f"{app.slug}[bot]",
        permissions=permissions,
        repositories=repositories or forge.slugs_of(app.owner),
        expires_at=expires_at,
    )
    moment = datetime.datetime.fromtimestamp(expires_at, datetime.UTC)
    body: dict[str, Any] = {
        "token": text,
        "expires_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "permissions": permissions,
        "repository_selection": "selected" if repositories else "all",
    }
    if repositories:
        records = [r for r in forge.store.repositories() if r.slug in repositories]
        body["repositories"] = [
            bodies.repository(request.base, record, forge.ssh_url(record), "read")
            for record in records
        ]
    return Response(status=201, body=body)


def _route(method: str, pattern: str, handler: Handler, anchor: str) -> Route:
    page = f"{_PAGE}#{anchor}"
    return Route(method=method, pattern=pattern, handler=handler, documentation=page, app=True)


_ONE = "/app/installations/{installation_id}"
ROUTES = (
    _route("GET", "/app", get_app, "get-the-authenticated-app"),
    _route(
        "GET",
        "/app/installations",
        list_installations,
        "list-installations-for-the-authenticated-app",
    ),
    _route("GET", _ONE, get_installation, "get-an-installation-for-the-authenticated-app"),
    _route(
        "POST",
        _ONE + "/access_tokens",
        create_token,
        "create-an-installation-access-token-for-an-app",
    ),
    _route(
        "GET",
        "/repos/{owner}/{repo}/installation",
        get_repository_installation,
        "get-a-repository-installation-for-the-authenticated-app",
    ),
    _route(
        "GET",
        "/users/{username}/installation",
        get_user_installation,
        "get-a-user-installation-for-the-authenticated-app",
    ),
    _route(
        "GET",
        "/orgs/{org}/installation",
        get_organization_installation,
        "get-an-organization-installation-for-the-authenticated-app",
    ),
)
