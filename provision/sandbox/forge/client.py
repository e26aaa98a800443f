"""Talking to a forge that runs: seeding it, watching it, hurting it.

Used by the sandbox and by tests; `provision.sandbox.forge.control` starts one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import errors
from provision.sandbox.forge import bare
from provision.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Info:
    """What ``ROOT/forge.json`` says of a running forge."""

    root: Path
    pid: int
    api: str
    owner: str
    repository: str
    ssh_host: str
    ssh_port: int
    git_host_keys: tuple[str, ...]
    token_file: Path
    admin_file: Path
    call_log: Path
    git_log: Path
    ca_file: Path | None = None
    """The certificate authority of its API; None where that speaks plain HTTP."""


def read_info(root: Path) -> Info | None:
    """Return what a running forge says of itself, or None when it does not run."""
    try:
        data = json.loads((root / "forge.json").read_text())
        command = Path(f"/proc/{int(data['pid'])}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if b"provision.sandbox.forge" not in command:
        return None  # the number belongs to another process by now
    return Info(
        root=root,
        pid=data["pid"],
        api=data["api"],
        owner=data["owner"],
        repository=data["repository"],
        ssh_host=data["sshHost"],
        ssh_port=data["sshPort"],
        git_host_keys=tuple(data["gitHostKeys"]),
        token_file=Path(data["tokenFile"]),
        admin_file=Path(data["adminFile"]),
        call_log=Path(data["callLog"]),
        git_log=Path(data["gitLog"]),
        ca_file=Path(data["caFile"]) if data.get("caFile") else None,
    )


def connect(info: Info, seconds: float = 60) -> http.client.HTTPConnection:
    """Return a connection to the API of a running forge, not opened yet."""
    scheme, _, host = info.api.partition("://")
    if scheme == "http":
        return http.client.HTTPConnection(host, timeout=seconds)
    context = ssl.create_default_context(cafile=info.ca_file)
    return http.client.HTTPSConnection(host, timeout=seconds, context=context)


class Forge(bare.Bare):
    """A running forge. Every method is safe to call again.

    Raises ElysiumError when the forge refuses or cannot be reached.
    """

    def __init__(self, info: Info) -> None:
        self.info = info
        self.slug = f"{info.owner}/{info.repository}"
        super().__init__(info.root / "repositories" / f"{self.slug.lower()}.git")

    def with_repository(self, name: str, *, owner: str = "", private: bool = True) -> Forge:
        """Return this forge with another repository, which is made if there is none."""
        owner = owner or self.info.owner
        self.admin("repositories/add", owner=owner, name=name, private=private)
        return Forge(dataclasses.replace(self.info, owner=owner, repository=name))

    # -- the two ways in ---------------------------------------------------------------

    def _http(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        connection = connect(self.info)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, dict(headers))
            answer = connection.getresponse()
            text = answer.read()
        except OSError as error:
            raise errors.ElysiumError(f"The forge at {self.info.api} does not answer.") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise errors.ElysiumError(
                f"The forge refused {method} {path}: {answer.status}.",
                detail=text.decode(errors="replace"),
            )
        return json.loads(text) if text else None

    def admin(self, control: str, /, **values: Any) -> Any:
        """Carry out one of the forge's own controls (see `provision.sandbox.forge.admin`)."""
        headers = {"X-Forge-Admin": self.info.admin_file.read_text().strip()}
        return self._http("POST", f"/_forge/{control}", values, headers)["result"]

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Make one REST call with the forge's first token; ``~`` in front is the repository."""
        path = path.replace("~", f"/repos/{self.slug}", 1) if path.startswith("~") else path
        headers = {"Authorization": f"token {self.token().reveal()}"}
        return self._http(method, path, body, headers)

    def token(self) -> Secret:
        """Return the token that the forge made at its first start (classic, scope repo)."""
        return Secret(self.info.token_file.read_text().strip())

    # -- the repository ------------------------------------------------------------------

    @property
    def ssh_url(self) -> str:
        """The repository's address for git over SSH, as its body says."""
        host = f"[{self.info.ssh_host}]" if ":" in self.info.ssh_host else self.info.ssh_host
        return f"ssh://git@{host}:{self.info.ssh_port}/{self.slug}.git"

    def known_hosts(self) -> str:
        """Return ``known_hosts`` lines for the git sshd."""
        host = self.info.ssh_host
        name = host if self.info.ssh_port == 22 else f"[{host}]:{self.info.ssh_port}"
        return "".join(f"{name} {key}\n" for key in self.info.git_host_keys)

    def protect(
        self, branch: str = "main", *, pull_requests: bool = True, ruleset: bool = False
    ) -> None:
        """Protect a branch, for administrators too; by a ruleset, or in the classic way."""
        if ruleset:
            self.admin("rules", slug=self.slug, branch=branch, rules=["pull_request"])
            return
        reviews = {"required_approving_review_count": 0} if pull_requests else None
        body = {
            "required_status_checks": None,
            "enforce_admins": True,
            "required_pull_request_reviews": reviews,
            "restrictions": None,
        }
        self.api("PUT", f"~/branches/{branch}/protection", body)

    def unprotect(self, branch: str = "main") -> None:
        """Remove a branch's protection, of either kind."""
        self.admin("rules", slug=self.slug, branch=branch, rules=[])
        with contextlib.suppress(errors.ElysiumError):
            self.api("DELETE", f"~/branches/{branch}/protection")

    def pulls(self, state: str = "open") -> list[dict[str, Any]]:
        """Return pull requests as the API tells them."""
        return self.api("GET", f"~/pulls?state={state}&per_page=100")

    def merge(self, number: int) -> str:
        """Merge a pull request and return the merge commit."""
        return self.api("PUT", f"~/pulls/{number}/merge", {})["sha"]

    # -- keys, tokens ---------------------------------------------------------------------

    def deploy_keys(self) -> list[dict[str, Any]]:
        """Return the registered deploy keys as the API tells them."""
        return self.api("GET", "~/keys?per_page=100")

    def register_key(
        self, public_key: str, *, title: str = "test", read_only: bool = True
    ) -> dict[str, Any]:
        """Register a deploy key."""
        body = {"title": title, "key": public_key, "read_only": read_only}
        return self.api("POST", "~/keys", body)

    def delete_key(self, key_id: int) -> None:
        """Remove a deploy key."""
        self.api("DELETE", f"~/keys/{key_id}")

    def create_token(self, kind: str = "classic", **values: Any) -> tuple[Secret, str]:
        """Make a token (``classic``, ``fine-grained``) and return it and its id.

        `values`: login, scopes, permissions, repositories, role, expires_at (see
        `provision.sandbox.forge.callers.Token`).
        """
        made = self.admin("tokens/create", kind=kind, **values)
        return Secret(made["token"]), made["id"]

    def revoke_token(self, token_id: str) -> None:
        """Delete a token, and with it the deploy keys that it registered, as GitHub does."""
        self.admin("tokens/revoke", id=token_id)

    def create_app(self, **values: Any) -> tuple[dict[str, Any], Secret]:
        """Make a GitHub App with an installation; its ids and its private key.

        `values`: slug, owner, permissions, repositories (see `provision.sandbox.forge.apps.App`).
        """
        made = self.admin("apps/create", **values)
        private = Secret(made.pop("private_key"))
        return made, private

    def limit(self, token_id: str, remaining: int, reset_in: int = 3600) -> None:
        """Leave a token so many requests for so many seconds."""
        self.admin("limit", token=token_id, remaining=remaining, reset_in=reset_in)

    # -- logs and faults --------------------------------------------------------------------

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the REST calls after the first `since`: method, path, status, token kind."""
        return _records(self.info.call_log, since)

    def git_log(self, since: int = 0) -> list[dict[str, Any]]:
        """Return fetches, pushes and refused keys after the first `since`."""
        return _records(self.info.git_log, since)

    def fault(self, action: str, **values: Any) -> int:
        """Add a fault (see `provision.sandbox.forge.faults.Fault`) and return its number."""
        return int(self.admin("faults/add", action=action, **values)["id"])

    @contextlib.contextmanager
    def faults(self, action: str, **values: Any) -> Generator[int]:
        """Have a fault for the length of a ``with`` block."""
        number = self.fault(action, **values)
        try:
            yield number
        finally:
            self.admin("faults/clear", id=number)

    def clear_faults(self) -> None:
        """Remove every fault, and make the sshd work again."""
        self.admin("faults/clear")

    def ssh(self, mode: str, **values: Any) -> None:
        """Make the git sshd ``ok``, ``refuse`` keys, fail sessions (``error``), or be ``down``."""
        self.admin("ssh", mode=mode, **values)

    def await_git(
        self,
        condition: Callable[[list[dict[str, Any]]], bool],
        *,
        since: int = 0,
        timeout: float = 10,
    ) -> list[dict[str, Any]]:
        """Return the git log once `condition` holds for it. Raises WaitError after `timeout`."""
        deadline = time.monotonic() + timeout
        while True:
            records = self.git_log(since)
            if condition(records):
                return records
            if time.monotonic() > deadline:
                raise errors.WaitError(
                    "The forge's git log does not show what was awaited.",
                    what="git log",
                    last_seen=json.dumps(records[-5:], indent=1),
                )
            time.sleep(0.02)


def _records(path: Path, since: int) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1][since:]]
