"""What GitHub would refuse later, found before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from typing import Literal

from provision import config, errors, gitpaths
from provision.github import failures, protection, repository, token

_NOT_GITHUB = (failures.AnswerError, failures.RedirectError)
CommitMode = Literal["push", "pull-request", "none"]


def check(
    cfg: config.GitHub,
    credential: token.Credential,
    path: str,
    *,
    commit: CommitMode = "push",
    namespace: str = config.FLUX_SYSTEM,
    new_key: bool = False,
    deploy_key: bool = True,
    is_new_cluster: Callable[[], bool] = lambda: False,
    repo: repository.Repository | None = None,
) -> list[errors.Problem]:
    """Return every problem that GitHub shows.

    `path` is the cluster's folder in the repository, `namespace` Flux'. Contents and deploy keys
    are read, nothing is written. Whether keys may be written is found by the
    role of the token's user where GitHub tells it, and where a `new_key` is to
    come by a harmless question. `deploy_key`: Flux fetches over SSH with one.
    `is_new_cluster`: Flux follows nothing yet, so that a missing branch may be created. It is asked
    only where the branch is missing.
    `repo` is used where one is open.
    """
    repo = repo or repository.Repository.open(cfg, credential)
    where = f"github {cfg.slug}"
    try:
        rights = repo.permissions()
    except errors.CodeHostError as error:  # then everything else fails the same way
        return [_problem(error, where, _key_of(error))]
    with_key = (
        lambda: _deploy_keys(repo, where, new_key and rights.scopes is None and rights.role_admin),
        lambda: _keys_allowed(repo, where, rights.organization if new_key else ""),
        lambda: _host_keys(repo, where),
    )
    checks = (
        lambda: _head(repo, path, where, commit, namespace, is_new_cluster),
        *(with_key if deploy_key else ()),
    )
    with futures.ThreadPoolExecutor(max_workers=len(checks)) as pool:
        found = [running.result() for running in [pool.submit(check) for check in checks]]
    problems = _rights(rights, where, commit, deploy_key)
    return problems + [problem for one in found for problem in one]


def branch(repo: repository.Repository) -> list[errors.Problem]:
    """Return why nothing can be pushed to the configured branch, if it is protected."""
    where = f"github {repo.cfg.slug}"
    try:
        found = repo.branch_protection(repo.cfg.branch)
    except errors.CodeHostError as error:
        return [_problem(error, where, "github.branch")]
    if found.needs_signatures:
        return [
            errors.Problem(
                kind="signatures-required",
                message=f"the branch {repo.cfg.branch} takes only signed commits ({found.why}),"
                " and elysium's commits have no signature",
                where=where,
                key="flux.commit",
                hint="set flux.commit to pull-request and merge by squashing, which GitHub signs;"
                " or let the token's user bypass the rule",
            )
        ]
    if not found.needs_pull_request:
        return []
    return [
        errors.Problem(
            kind="branch-protected",
            message=f"the branch {repo.cfg.branch} takes no direct push: {found.why}",
            where=where,
            key="flux.commit",
            hint="set flux.commit to pull-request",
        )
    ]


def _head(
    repo: repository.Repository,
    path: str,
    where: str,
    commit: CommitMode,
    namespace: str,
    is_new_cluster: Callable[[], bool],
) -> list[errors.Problem]:
    try:
        files = repo.snapshot(repo.start(repo.cfg.branch)).entries
        start = repo.new_branch(repo.cfg.branch)
    except errors.CodeHostError as error:
        return [_problem(error, where, "github.branch")]
    problems = _path(path, where, is_file=path.strip("/") in files)
    if start is not None:
        return problems + _new_branch(repo, start, where, commit, new_cluster=is_new_cluster())
    if commit == "push" and not all(name in files for name in flux_files(path, namespace)):
        problems += branch(repo)
    return problems


def _new_branch(
    repo: repository.Repository, start: str, where: str, commit: CommitMode, *, new_cluster: bool
) -> list[errors.Problem]:
    """Return why the missing branch cannot be created, from `start` or with the first commit."""
    name = repo.cfg.branch
    if new_cluster and (commit == "push" or (start and commit == "pull-request")):
        return []
    if start:
        why = "it is created for a new cluster only, and this one exists"
        if commit == "none":
            why = "with flux.commit none, nothing is pushed"
        return [
            errors.Problem(
                kind="branch-missing",
                message=f"there is no branch {name}: {why}",
                where=where,
                key="github.branch",
                hint=f"push it, or set github.branch to {start}",
            )
        ]
    return [
        errors.Problem(
            kind="repository-empty",
            message="the repository has no commit",
            where=where,
            key="github.repository",
            hint="push a first commit to it (a README is enough)"
            + ("" if new_cluster else "; if it held something, look why that is gone"),
        )
    ]


def _deploy_keys(
    repo: repository.Repository, where: str, try_writing: bool
) -> list[errors.Problem]:
    try:
        repo.deploy_keys()
        refused = repo.may_write_keys() if try_writing else None
    except errors.CodeHostError as error:
        return [_problem(error, where, "github.token")]
    return [_problem(refused, where, "github.token")] if refused is not None else []


def _keys_allowed(
    repo: repository.Repository, where: str, organization: str
) -> list[errors.Problem]:
    """Return that the owner allows no deploy keys, where it is an organisation and GitHub says."""
    try:
        if not organization or repo.allows_keys(organization):
            return []
    except errors.CodeHostError as error:
        return [_problem(error, where, "github.token")]
    refused = failures.keys_disabled(repo.cfg.slug, operation="register a deploy key")
    return [_problem(refused, where, "github.owner")]


def _host_keys(repo: repository.Repository, where: str) -> list[errors.Problem]:
    try:
        if repo.cfg.git_host_keys or repo.host_keys():
            return []
    except errors.CodeHostError as error:
        return [_problem(error, where, "github.gitHostKeys")]
    return [
        errors.Problem(
            kind="host-keys-unknown",
            message=f"{repo.cfg.base_url} does not tell the git server's SSH host keys",
            where=where,
            key="github.gitHostKeys",
            hint="pin them in github.gitHostKeys, as an administrator of the server has them",
        )
    ]


def _rights(
    rights: protection.Permissions, where: str, commit: CommitMode, deploy_key: bool
) -> list[errors.Problem]:
    problems: list[errors.Problem] = []
    if rights.archived:
        problems.append(
            errors.Problem(
                kind="repository-archived",
                message="the repository is archived, so nothing can be written to it",
                where=where,
                key="github.repository",
                hint="unarchive it, or configure another one",
            )
        )
    wanted = {"repo"} if rights.private else {"repo", "public_repo"}
    if rights.scopes is not None and not wanted.intersection(rights.scopes):
        problems.append(
            errors.Problem(
                kind="scope-missing",
                message="the classic token lacks the scope " + " or ".join(sorted(wanted)),
                where=where,
                key="github.token",
                hint="it has: " + (", ".join(rights.scopes) or "none"),
            )
        )
    key = "github.app" if rights.is_app else "github.token"
    if deploy_key and not rights.role_admin:
        who = "installation of the GitHub App has no permission 'Administration: write'"
        if not rights.is_app:
            who = "token's user is no administrator of the repository"
        hint = "give it to the app, and have the installation's owner accept it"
        if not rights.is_app:
            hint = "use a token with 'Administration: write' of someone with the admin role"
        problems.append(
            errors.Problem(
                kind="not-administrator",
                message=f"the {who}, so it may not add a deploy key",
                where=where,
                key=key,
                hint=hint,
            )
        )
    if commit != "none" and not rights.role_push:
        who = "installation of the GitHub App" if rights.is_app else "token's user"
        problems.append(
            errors.Problem(
                kind="may-not-push",
                message=f"the {who} may not push to the repository",
                where=where,
                key=key,
                hint="give it 'Contents: write', or set flux.commit to none",
            )
        )
    return problems


def flux_files(path: str, namespace: str) -> tuple[str, str, str]:
    """Return where Flux' own files are below the cluster's folder `path`."""
    folder = gitpaths.normal(f"{path}/{namespace}")
    return (
        f"{folder}/gotk-components.yaml",
        f"{folder}/gotk-sync.yaml",
        f"{folder}/kustomization.yaml",
    )


def _path(path: str, where: str, *, is_file: bool) -> list[errors.Problem]:
    """A file where the cluster's folder should be; a folder that is not there is made."""
    if not is_file:
        return []
    return [
        errors.Problem(
            kind="path-is-a-file",
            message=f"{path} is a file, and the cluster's folder should be there",
            where=where,
            key="flux.path",
            hint="configure another path",
        )
    ]


def _problem(error: errors.CodeHostError, where: str, key: str) -> errors.Problem:
    return errors.Problem(
        message=error.summary, where=where, key=key, hint=error.hint, kind=type(error).__name__
    )


def _key_of(error: errors.CodeHostError) -> str:
    if isinstance(error, failures.UnreachableError):
        return "github.baseUrl"
    if isinstance(error, failures.RenamedError) or error.status == 404:
        return "github.repository"
    return "github.baseUrl" if isinstance(error, _NOT_GITHUB) else "github.token"
