"""``docs/github-calls.md``: which calls of GitHub's API each command makes, recorded.

The forge stand-in logs every call; `of_records` names them by its routes, which
also say what a token needs for each. The end-to-end tests compare what they
see with the page, and write it instead where ``ELYSIUM_RECORD_CALLS`` is set.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from provision.cli import main
from provision.sandbox.forge.routes import TABLE, archives

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "github-calls.md"
Call = tuple[str, str]
"""Method and pattern of a route."""
Calls = Mapping[str, frozenset[Call]]
"""The calls of each command, by its name without ``elysium``."""

_R = "/repos/{owner}/{repo}"
WHY: dict[Call, str] = {
    ("GET", "/meta"): "the SSH host keys of GitHub's git server, to pin them",
    ("GET", _R): "whether the token sees the repository, and what its user may do there",
    ("GET", _R + "/keys"): "which deploy keys there are: ours, their age, mode and last use",
    ("POST", _R + "/keys"): "registering the deploy key that was made here",
    ("DELETE", _R + "/keys/{key_id}"): "removing a deploy key of ours that is not in force;"
    " with the number 0, which is none, asking whether the token may",
    ("GET", _R + "/git/ref/{ref+}"): "the head of the branch",
    ("GET", _R + "/git/commits/{sha}"): "the tree that a commit is made on top of",
    ("GET", _R + "/git/trees/{tree_sha+}"): "which files there are, with their ids",
    ("GET", _R + "/git/blobs/{file_sha}"): "one file's content",
    ("GET", _R + "/tarball/{ref+}"): "the content of many files at once",
    ("POST", _R + "/git/trees"): "the files of a commit",
    ("POST", _R + "/git/commits"): "the commit",
    ("PATCH", _R + "/git/refs/{ref+}"): "moving the branch forward to the commit",
    ("POST", _R + "/git/refs"): "the branch of a pull request (flux.commit: pull-request), and a"
    " configured branch that is missing",
    ("PUT", _R + "/contents/{path+}"): "the first commit of an empty repository",
    (
        "GET",
        _R + "/pulls",
    ): "whether the pull request is open or merged (flux.commit: pull-request)",
    ("POST", _R + "/pulls"): "opening the pull request (flux.commit: pull-request)",
    ("GET", _R + "/branches/{branch+}"): "whether the branch is protected, before the first commit",
    ("GET", _R + "/rules/branches/{branch+}"): "which rules hold a push, before the first commit",
    ("GET", _R + "/branches/{branch+}/protection"): "whether a protection holds this token's user",
    ("GET", _R + "/installation"): "a GitHub App's installation, where its number is not given",
    ("POST", "/app/installations/{installation_id}/access_tokens"): "a GitHub App's token,"
    " an hour long",
}
BESIDES: dict[str, frozenset[Call]] = {
    "into a repository without a commit, the first one": frozenset(
        {("PUT", _R + "/contents/{path+}")}
    ),
    "where the configured branch is missing": frozenset({("GET", _R), ("POST", _R + "/git/refs")}),
    "with `flux.commit: pull-request`, in place of moving the branch": frozenset(
        {("GET", _R + "/pulls"), ("POST", _R + "/git/refs"), ("POST", _R + "/pulls")}
    ),
    "with a GitHub App, before the first call and once an hour": frozenset(
        {
            ("GET", _R + "/installation"),
            ("POST", "/app/installations/{installation_id}/access_tokens"),
        }
    ),
    "where the branch has a classic protection": frozenset(
        {("GET", _R + "/branches/{branch+}/protection")}
    ),
    "where an archive cannot be had, or a file alone is wanted": frozenset(
        {("GET", _R + "/git/blobs/{file_sha}")}
    ),
    "with a fine-grained token or an App, when a key is to come": frozenset(
        {("DELETE", _R + "/keys/{key_id}")}
    ),
}
"""What settings and circumstances add, that the end-to-end tests do not have."""
SILENT: dict[str, str] = {
    "backup": "reads the state, the node and the cluster",
    "backup extract": "reads a bundle",
    "backup list": "reads bundles",
    "backup schedule": "prints units",
    "backup show": "reads a bundle",
    "backup verify": "reads a bundle",
    "completion": "prints",
    "config set": "edits a file",
    "config show": "reads a file",
    "config validate": "reads files",
    "demo": "asks a stand-in of its own what `up` asks",
    "drill": "reads the files of the repository; all else asks a stand-in of its own",
    "engine install": "downloads from the releases of Pulumi",
    "gitops build": "reads files",
    "gitops cold-start": "reads files",
    "gitops diff": "reads a Git checkout",
    "gitops graph": "reads files",
    "init": "writes files",
    "kubeconfig": "reads the state",
    "output": "reads the state",
    "refresh": "asks a part of what `up` asks, and changes nothing",
    "rotate passphrase": "changes files",
    "sandbox build": "builds parts",
    "sandbox down": "ends what runs here",
    "sandbox replace-node": "changes what runs here",
    "sandbox ssh": "opens a shell",
    "sandbox status": "looks at what runs here",
    "sandbox up": "starts a stand-in of its own",
    "secret reseal": "works on files and the cluster",
    "secret seal": "works on files",
    "secret unseal": "works on files",
    "secret verify": "works on files",
    "stack export": "reads the state",
    "stack graph": "reads the state",
    "stack history": "reads the state",
    "stack import": "changes the state",
    "stack ls": "reads the state",
    "stack rename": "changes files",
    "stack repair": "changes the state",
    "stack rm": "removes files",
    "stack unlock": "removes a file",
}
"""Commands that call nothing of GitHub, and why that is so."""

_INTRO = """\
# Calls to GitHub

<!-- Made by `make github-calls`; edits here are lost. -->

Every call of GitHub's REST API that elysium makes, as the stand-in of the end-to-end tests logged
it, and what a token needs for it; git itself is spoken over SSH with the deploy key. A rate limit
or an error may repeat a call, never add one. The end-to-end tests fail on a call that is not here.

| token | needs |
|---|---|
| classic | `repo` (`public_repo` is enough for a public repository) |
| fine-grained | on this repository: {permissions}; its owner must be an administrator there |
| GitHub App | the same repository permissions, and nothing of the account |

Without the pull requests permission everything works but `flux.commit: pull-request`.
A personal token that is deleted takes the deploy keys with it that it registered; a GitHub App's
keys stay. `elysium status` says whose key it is. `elysium up` and `rotate` ask for the rights first
and name what is missing: a classic token lists its scopes (`X-OAuth-Scopes`), others are asked to
remove the deploy key number 0, which is refused (403, with `X-Accepted-GitHub-Permissions`) or not
found (404).

## What each call is for
"""


def leaves() -> tuple[str, ...]:
    """Return every command there is, without ``elysium``."""

    def of(command: click.Command, context: click.Context) -> Iterator[str]:
        name = context.command_path.removeprefix("elysium").strip()
        if isinstance(command, click.Group):
            if command.invoke_without_command and name:
                yield name
            for sub in command.list_commands(context):
                found = command.get_command(context, sub)
                assert found is not None
                yield from of(found, click.Context(found, parent=context, info_name=sub))
        else:
            yield name

    return tuple(sorted(of(main.cli, click.Context(main.cli, info_name="elysium"))))


def command_of(args: Iterable[str]) -> str:
    """Return the command that arguments call, empty for none."""
    words = [word for word in args if not word.startswith("-")]
    known = set(leaves())
    for start in range(len(words)):
        for length in (2, 1):
            name = " ".join(words[start : start + length])
            if name in known:
                return name
    return ""


def of_records(records: Iterable[Mapping[str, Any]]) -> frozenset[Call]:
    """Return the calls of a forge's log. Fails for one that GitHub does not have."""
    found: set[Call] = set()
    for record in records:
        path = record["path"].partition("?")[0]
        if path.startswith(archives.PREFIX):
            continue  # where GitHub redirects an archive to: another server, without the token
        route = TABLE.find(record["method"], path)
        assert route is not None, f"no such call is known: {record['method']} {path}"
        found.add((route[0].method, route[0].pattern))
    return frozenset(found)


def unlisted(called: Calls) -> dict[str, frozenset[Call]]:
    """Return what commands called that the page does not list; empty when it lists everything.

    With ``ELYSIUM_RECORD_CALLS`` the page is written instead: of these commands what they
    called (with ``add``, what it listed before too), of the others what it listed before.
    Which files of the repository are read depends on whether this commit was looked at
    before: ``new`` is for a run of all end-to-end tests, ``add`` for a part of them.
    """
    seen = {name: calls for name, calls in called.items() if calls}
    listed = parse(PAGE.read_text())
    if record := os.environ.get("ELYSIUM_RECORD_CALLS"):
        if record == "add":
            seen = {name: calls | listed.get(name, frozenset()) for name, calls in seen.items()}
        PAGE.write_text(render(listed | seen))
        return {}
    besides = frozenset[Call]().union(*BESIDES.values())
    return {
        name: left
        for name, calls in seen.items()
        if (left := calls - listed.get(name, frozenset()) - besides)
    }


def render(calls: Calls) -> str:
    """Return the page."""
    routes = {(route.method, route.pattern): route for route, _ in TABLE.routes}
    used = [call for call in WHY if any(call in of for of in (*calls.values(), *BESIDES.values()))]
    out = [_INTRO.format(permissions=_permissions(used))]
    out.append("| call | fine-grained, App | classic | what for |\n|---|---|---|---|")
    for call in used:
        route = routes[call]
        permission = route.permission.replace("=", ": ").replace("_", " ") or "none"
        link = f"[`{call[0]} {_shown(call[1])}`]({route.documentation})"
        scopes = ", ".join(f"`{scope}`" for scope in route.scopes) or "none"
        if route.app:
            permission, scopes = "signed with the App's private key", ""
        out.append(f"| {link} | {permission} | {scopes} | {WHY[call]} |")
    out.append("\n## What each command calls\n")
    for command in sorted(calls):
        if calls[command]:
            out.append(f"### `elysium {command}`\n")
            out += [
                f"- `{method} {_shown(path)}`"
                for method, path in sorted(calls[command], key=used.index)
            ]
            out.append("")
    out.append("### What comes besides\n")
    for when, of in BESIDES.items():
        listed = ", ".join(f"`{m} {_shown(p)}`" for m, p in sorted(of, key=used.index))
        out.append(f"- {when}: {listed}")
    out.append("\n### The other commands\n")
    out += [f"- `elysium {name}`: {why}" for name, why in sorted(SILENT.items())]
    return "\n".join(out) + "\n"


def parse(text: str) -> dict[str, frozenset[Call]]:
    """Return the calls of each command that a page lists."""
    found: dict[str, frozenset[Call]] = {}
    by_shown = {f"{method} {_shown(path)}": (method, path) for method, path in WHY}
    for section in text.split("\n### ")[1:]:
        head = re.match(r"`elysium ([a-z0-9 -]+)`\n", section)
        if head:
            listed = re.findall(r"^- `(.+)`$", section, re.MULTILINE)
            found[head[1]] = frozenset(by_shown[one] for one in listed)
    return found


def _permissions(used: Iterable[Call]) -> str:
    """Return the highest level that any call needs, by permission."""
    rank = ("read", "write")
    needed: dict[str, str] = {}
    for route, _ in TABLE.routes:
        if (route.method, route.pattern) in used and route.permission:
            name, _, level = route.permission.partition("=")
            needed[name] = max(level, needed.get(name, level), key=rank.index)
    words = (f"{name.replace('_', ' ')}: {level}" for name, level in sorted(needed.items()))
    return ", ".join(f"**{one.capitalize()}**" for one in words)


def _shown(pattern: str) -> str:
    return pattern.replace("+}", "}")
