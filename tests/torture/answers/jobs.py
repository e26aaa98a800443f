"""Jobs at GitHub as elysium does them, and what is there when one is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision import errors
from provision.github import deploy_keys, preflight, repository
from provision.sandbox.forge import client
from provision.secret import Secret

KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "{:A<43}"
SEEDED: Final = {"README.md": "# home\n", **{f"apps/{n}.yaml": f"kind: {n}\n" for n in range(9)}}
FILES: Final = {"clusters/kyrion/flux.yaml": "kind: Kustomization\n", "apps/1.yaml": None}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job. `do` does it, and nothing that is done already; `wrong` says what is not right then.

    `seeded`: the repository has commits before.
    """

    do: Callable[[repository.Repository, str], Any]
    wrong: Callable[[client.Forge, str, Any], str]
    seeded: bool = True


def _key_of(forge_name: str) -> str:
    """Return a public key that only this repository has."""
    number = forge_name.rpartition("-")[2]
    return KEY.format(f"{int(number):04}".translate(str.maketrans("0123456789", "abcdefghij")))


def _register(repo: repository.Repository, key: str) -> None:
    known = {found.fingerprint for found in repo.deploy_keys()}
    if deploy_keys.fingerprint(key) not in known:
        repo.create_deploy_key(title="elysium/kyrion/1-x", key=key, read_only=False)


def _one_key(forge: client.Forge, key: str, result: Any) -> str:
    found = [one["key"] for one in forge.deploy_keys()]
    return "" if found == [key] else f"the deploy keys are {found}"


def _remove(repo: repository.Repository, key: str) -> None:
    for found in repo.deploy_keys():
        repo.delete_deploy_key(found.id)


def _no_key(forge: client.Forge, key: str, result: Any) -> str:
    found = forge.deploy_keys()
    return f"the deploy keys are {found}" if found else ""


def _commit(repo: repository.Repository, key: str) -> str:
    return repo.commit("main", "elysium: set up", FILES)


def _one_commit(forge: client.Forge, key: str, result: Any) -> str:
    log = forge.git("log", "--format=%s", "main").split("\n")
    ours = [line for line in log if line == "elysium: set up"]
    text = forge.git("show", "main:clusters/kyrion/flux.yaml")
    there = "apps/1.yaml" in forge.git("ls-tree", "-r", "--name-only", "main")
    if len(ours) != 1 or text.strip() != "kind: Kustomization" or there:
        return f"the log is {log}, the file is {text!r}, what was removed is there: {there}"
    if isinstance(result, str) and result != forge.git("rev-parse", "main").strip():
        return f"{result} was returned and is not the head"
    return ""


def _propose(repo: repository.Repository, key: str) -> None:
    repo.open_pull_request("main", "elysium: set up", FILES, branch="elysium/x")


def _one_pull(forge: client.Forge, key: str, result: Any) -> str:
    found = forge.api("GET", "~/pulls?state=all")
    return "" if len(found) == 1 else f"there are {len(found)} pull requests"


def _read(repo: repository.Repository, key: str) -> Mapping[str, str]:
    return repo.read_tree(repo.head())


def _all_files(forge: client.Forge, key: str, result: Any) -> str:
    return "" if result == SEEDED else f"{sorted(result or ())} were read, or their contents differ"


def _check(repo: repository.Repository, key: str) -> None:
    token: Any = Secret("unused: the repository is open")
    problems = preflight.check(repo.cfg, token, "clusters/kyrion", new_key=True, repo=repo)
    if problems:
        raise errors.PreflightError(f"github {repo.slug}", problems)
    repo.host_keys()
    repo.branch_protection("main")


def _nothing(forge: client.Forge, key: str, result: Any) -> str:
    return ""


JOBS: Final[Mapping[str, Job]] = {
    "register a key": Job(do=_register, wrong=_one_key),
    "remove the keys": Job(do=_remove, wrong=_no_key),
    "commit": Job(do=_commit, wrong=_one_commit),
    "first commit": Job(do=_commit, wrong=_one_commit, seeded=False),
    "pull request": Job(do=_propose, wrong=_one_pull),
    "read the files": Job(do=_read, wrong=_all_files),
    "preflight": Job(do=_check, wrong=_nothing),
}
key_of = _key_of
