"""GitHub's own program and PyGithub make every call that there is, at a forge with TLS.

Each answer is checked against the schemas that GitHub publishes. `gh` sends bodies from its
standard input in chunks, and follows the links between pages.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import github
import pytest

from provision.sandbox.forge import control
from tests.support import forge_schemas as schemas

FEWEST = 60
FILES = {"README.md": "# home\n", "apps/plex.yaml": "kind: App\n", "apps/ä.yaml": "kind: App\n"}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Forge]:
    """A forge with TLS, as a sandbox has one."""
    with control.start_forge(tmp_path_factory.mktemp("secure") / "root", tls=True) as forge:
        yield forge


class Gh:
    """GitHub's command-line program, for an Enterprise host at the forge's address."""

    def __init__(self, forge: control.Forge, folder: Path) -> None:
        assert shutil.which("gh"), "make gh"
        self.host = forge.info.api.removeprefix("https://")
        self.slug = forge.slug
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GH_CONFIG_DIR": str(folder / "gh"),
            "GH_HOST": self.host,
            "GH_ENTERPRISE_TOKEN": forge.token().reveal(),
            "GH_NO_UPDATE_NOTIFIER": "1",
            "GH_PROMPT_DISABLED": "1",
            "SSL_CERT_FILE": str(forge.info.ca_file),
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["gh", *arguments],
            input=stdin.encode(),
            capture_output=True,
            env=self.environment,
            timeout=60,
            check=False,
        )

    def send(
        self, method: str, path: str, body: Any = None, accept: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Make one call; the status, the headers and the body of its answer."""
        path = path.replace("~", f"repos/{self.slug}")
        options = ["--header", f"Accept: application/vnd.github.{accept}"] if accept else []
        options += ["--input", "-"] if body is not None else []
        done = self.run(
            *("api", "--include", "--method", method, *options, path),
            stdin="" if body is None else json.dumps(body),
        )
        head, _, content = done.stdout.replace(b"\r\n", b"\n").partition(b"\n\n")
        first, *lines = head.decode().splitlines()
        assert first.startswith("HTTP/1.1 "), done
        status = int(first.split()[1])
        assert (done.returncode == 0) == (status < 400), done
        return status, dict(line.lower().split(": ", 1) for line in lines), content

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 0) -> Any:
        """Make one call of JSON, and check its answer against GitHub's schema."""
        answered, _, content = self.send(method, path, body)
        expected = status or {"POST": 201, "DELETE": 204}.get(method, 200)
        assert answered == expected, (method, path, content)
        parsed = json.loads(content) if content.strip() else None
        at = "/" + path.replace("~", f"repos/{self.slug}").lstrip("/")
        schemas.check(method, at, answered, parsed)
        return parsed


@pytest.fixture
def gh(secure: control.Forge, tmp_path: Path) -> Gh:
    forge = secure.with_repository("for-gh")
    forge.seed_repository(FILES)
    return Gh(forge, tmp_path)


def watched(forge: control.Forge, since: int, most: int = 499) -> list[dict[str, Any]]:
    """Return the calls after `since`, all of them known and answered."""
    calls = forge.calls(since)
    assert not [call for call in calls if call.get("unknown") or call["status"] > most]
    return calls


def test_gh_makes_every_call(secure: control.Forge, gh: Gh, make_key: Any) -> None:
    since = len(secure.calls())
    about(gh)
    keys(gh, make_key(), make_key())
    sha = commits(gh)
    branches(gh, sha)
    contents(gh)
    pulls(gh)
    made = len(watched(secure, since))
    assert made >= FEWEST, made


def about(gh: Gh) -> None:
    root = gh("GET", "/")
    assert root["current_user_url"] == f"https://{gh.host}/api/v3/user"
    status, headers, body = gh.send("HEAD", "/")
    assert (status, body, headers["x-oauth-scopes"]) == (200, b"", "repo")
    assert gh("GET", "user")["login"] == gh.slug.partition("/")[0]
    assert gh("GET", "meta")["ssh_keys"]
    assert gh("GET", "rate_limit")["resources"]["core"]["limit"] == 5000
    repository = gh("GET", "~")
    assert repository["clone_url"] == f"https://{gh.host}/{gh.slug}.git"
    assert gh.send("HEAD", "~")[0] == 200
    assert gh.send("HEAD", "repos/nobody/nothing")[0] == 404
    assert gh("PATCH", "~", {"description": "home"})["description"] == "home"


def keys(gh: Gh, key: Any, other: Any) -> None:
    body = {"title": "one", "key": key.public, "read_only": True}
    made = gh("POST", "~/keys", body)
    assert gh("GET", f"~/keys/{made['id']}")["title"] == "one"
    again = gh("POST", "~/keys", {**body, "title": "two"}, status=422)
    assert again["errors"][0]["message"] == "key is already in use"
    gh("DELETE", f"~/keys/{made['id']}")
    gh("GET", f"~/keys/{made['id']}", status=404)
    # Its own commands for keys are calls of the REST API too.
    file = str(other.private.with_suffix(".pub"))
    at = ("-R", f"{gh.host}/{gh.slug}")
    assert gh.run("repo", "deploy-key", "add", file, "-t", "of gh", "-w", *at).returncode == 0
    (listed,) = gh("GET", "~/keys")
    assert (listed["title"], listed["read_only"]) == ("of gh", False)
    assert b"of gh" in gh.run("repo", "deploy-key", "list", *at).stdout
    assert gh.run("repo", "deploy-key", "delete", str(listed["id"]), *at).returncode == 0
    assert gh("GET", "~/keys") == []


def commits(gh: Gh) -> str:
    """Make a commit from its parts; return it."""
    head = gh("GET", "~/git/ref/heads/main")["object"]["sha"]
    base = gh("GET", f"~/git/commits/{head}")["tree"]["sha"]
    tree = gh("GET", f"~/git/trees/{base}?recursive=1")["tree"]
    assert {entry["path"] for entry in tree} >= FILES.keys()
    (readme,) = (entry["sha"] for entry in tree if entry["path"] == "README.md")
    assert base64.b64decode(gh("GET", f"~/git/blobs/{readme}")["content"]) == b"# home\n"
    assert gh.send("GET", f"~/git/blobs/{readme}", accept="raw")[2] == b"# home\n"
    blob = gh("POST", "~/git/blobs", {"content": "x" * 100_000, "encoding": "utf-8"})["sha"]
    entry = {"path": "large", "mode": "100644", "type": "blob", "sha": blob}
    new = gh("POST", "~/git/trees", {"base_tree": base, "tree": [entry]})["sha"]
    made = gh("POST", "~/git/commits", {"message": "Add", "tree": new, "parents": [head]})["sha"]
    gh("POST", "~/git/refs", {"ref": "refs/heads/next", "sha": head})
    assert gh("PATCH", "~/git/refs/heads/next", {"sha": made})["object"]["sha"] == made
    assert len(gh("GET", "~/git/matching-refs/heads/")) == 2
    assert len(gh("GET", "~/git/refs")) == 2
    gh("POST", "~/git/refs", {"ref": "refs/tags/v1", "sha": made})
    gh("DELETE", "~/git/refs/tags/v1")
    assert [one["sha"] for one in gh("GET", "~/commits?sha=next")] == [made, head]
    assert gh("GET", f"~/commits/{made}")["files"][0]["filename"] == "large"
    assert gh.send("GET", "~/commits/next", accept="sha")[2].decode() == made
    assert b"+++ b/large" in gh.send("GET", "~/commits/next", accept="diff")[2]
    assert b"Subject: [PATCH] Add" in gh.send("GET", "~/commits/next", accept="patch")[2]
    gh("GET", "~/commits/none", status=422)
    return made


def branches(gh: Gh, sha: str) -> None:
    done = gh.run("api", "--paginate", f"repos/{gh.slug}/branches?per_page=1", "-q", ".[].name")
    assert done.stdout.split() == [b"main", b"next"]
    assert gh("GET", "~/branches/next")["commit"]["sha"] == sha
    gh("GET", "~/branches/none", status=404)
    gh("GET", "~/branches/next/protection", status=404)
    reviews = {"required_approving_review_count": 2}
    body = {
        "required_status_checks": None,
        "enforce_admins": True,
        "required_pull_request_reviews": reviews,
        "restrictions": None,
    }
    gh("PUT", "~/branches/next/protection", body)
    found = gh("GET", "~/branches/next/protection")["required_pull_request_reviews"]
    assert found["required_approving_review_count"] == 2
    gh("PATCH", "~/git/refs/heads/next", {"sha": sha, "force": True}, status=422)
    gh("DELETE", "~/branches/next/protection")
    assert gh("GET", "~/rules/branches/next") == []
    gh("GET", "~/rulesets/1", status=404)


def contents(gh: Gh) -> None:
    assert {entry["name"] for entry in gh("GET", "~/contents")} == {"README.md", "apps"}
    assert len(gh("GET", "~/contents/apps?ref=next")) == 2
    assert gh.send("GET", "~/contents/README.md", accept="raw+json")[2] == b"# home\n"
    status, _, body = gh.send("GET", "~/contents/apps", accept="object+json")
    assert (status, len(json.loads(body)["entries"])) == (200, 2)
    schemas.check("GET", f"/repos/{gh.slug}/contents/apps", status, json.loads(body))
    text = base64.b64encode(b"new\n").decode()
    body = {"message": "Put", "content": text, "branch": "next"}
    made = gh("PUT", "~/contents/new.md", body, status=201)["content"]["sha"]
    gh("PUT", "~/contents/new.md", {**body, "content": base64.b64encode(b"a").decode()}, status=422)
    changed = {**body, "content": base64.b64encode(b"newer\n").decode(), "sha": made}
    assert gh("PUT", "~/contents/new.md", changed)["content"]["size"] == 6
    archive = gh.run("api", f"repos/{gh.slug}/tarball/next").stdout
    assert archive.startswith(b"\x1f\x8b")


def pulls(gh: Gh) -> None:
    body = {"title": "Next", "head": "next", "base": "main", "body": "because"}
    assert gh("POST", "~/pulls", body)["mergeable"] is None
    seen = [gh("GET", "~/pulls/1")["mergeable"] for _ in range(2)]
    assert seen == [None, True]
    assert [pull["number"] for pull in gh("GET", "~/pulls?state=all")] == [1]
    assert b"+newer" in gh.send("GET", "~/pulls/1", accept="diff")[2]
    assert gh.send("GET", "~/pulls/1", accept="patch")[2].count(b"Subject: [PATCH") == 3
    assert gh("PATCH", "~/pulls/1", {"title": "Now"})["title"] == "Now"
    assert gh("PUT", "~/pulls/1/merge", {"merge_method": "squash"})["merged"] is True
    assert gh("GET", "~/pulls/1")["merged"] is True
    gh("PUT", "~/pulls/1/merge", {}, status=405)
    gh("DELETE", "~/git/refs/heads/next")


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_pygithub_makes_every_call(
    secure: control.Forge, checked: list[Any], make_key: Any, prefix: str
) -> None:
    forge = secure.with_repository(f"for-pygithub{prefix.count('/')}")
    forge.seed_repository(FILES)
    since = len(secure.calls())
    connection = github.Github(
        auth=github.Auth.Token(forge.token().reveal()),
        base_url=forge.info.api + prefix,
        verify=str(forge.info.ca_file),
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    assert connection.get_user().login == forge.info.owner
    assert connection.get_rate_limit().resources.core.limit == 5000
    for path in ("/", "/meta"):
        assert connection.requester.requestJsonAndCheck("GET", path)[1]
    repository = connection.get_repo(forge.slug)
    with_keys(repository, make_key().public)
    with_commits(repository)
    with_contents(repository)
    with_pulls(repository)
    with_apps(forge, prefix)
    connection.close()
    assert len(checked) >= FEWEST
    assert len(watched(secure, since)) == len(checked)


def with_keys(repository: Any, public: str) -> None:
    repository.edit(description="home")
    key = repository.create_key("one", public, read_only=True)
    assert repository.get_key(key.id).title == "one"
    assert [one.id for one in repository.get_keys()] == [key.id]
    with pytest.raises(github.GithubException, match="already in use"):
        repository.create_key("two", public)
    key.delete()
    with pytest.raises(github.UnknownObjectException):
        repository.get_key(key.id)


def with_commits(repository: Any) -> None:
    reference = repository.get_git_ref("heads/main")
    head = repository.get_git_commit(reference.object.sha)
    tree = repository.get_git_tree(head.tree.sha, recursive=True)
    (readme,) = (entry.sha for entry in tree.tree if entry.path == "README.md")
    assert base64.b64decode(repository.get_git_blob(readme).content) == b"# home\n"
    blob = repository.create_git_blob(base64.b64encode(b"\0\1").decode(), "base64")
    entry = github.InputGitTreeElement("binary", "100644", "blob", sha=blob.sha)
    made = repository.create_git_commit("Add", repository.create_git_tree([entry], tree), [head])
    following = repository.create_git_ref("refs/heads/next", head.sha)
    following.edit(made.sha)
    assert len(list(repository.get_git_refs())) == 2
    assert len(list(repository.get_git_matching_refs("heads/"))) == 2
    repository.create_git_ref("refs/tags/v1", made.sha).delete()
    assert [one.sha for one in repository.get_commits(sha="next")] == [made.sha, head.sha]
    assert [file.filename for file in repository.get_commit(made.sha).files] == ["binary"]
    assert {branch.name for branch in repository.get_branches()} == {"main", "next"}
    branch = repository.get_branch("next")
    with pytest.raises(github.GithubException, match="Branch not protected"):
        branch.get_protection()
    branch.edit_protection(enforce_admins=True, required_approving_review_count=1)
    assert branch.get_protection().enforce_admins
    with pytest.raises(github.GithubException):
        following.edit(head.sha, force=True)
    branch.remove_protection()
    following.edit(head.sha, force=True)
    following.edit(made.sha)


def with_contents(repository: Any) -> None:
    assert {entry.name for entry in repository.get_contents("")} == {"README.md", "apps"}
    assert len(repository.get_contents("apps", ref="next")) == 2
    file = repository.get_contents("apps/ä.yaml")
    assert file.decoded_content == b"kind: App\n"
    made = repository.create_file("new.md", "Put", "new\n", branch="next")["content"]
    repository.update_file("new.md", "Change", "newer\n", made.sha, branch="next")
    with pytest.raises(github.GithubException):
        repository.update_file("new.md", "Change", "lost\n", made.sha, branch="next")
    assert "/_codeload/" in repository.get_archive_link("tarball", ref="next")


def with_pulls(repository: Any) -> None:
    pull = repository.create_pull(base="main", head="next", title="Next", body="because")
    assert pull.mergeable is None
    assert repository.get_pull(1).mergeable is None
    assert repository.get_pull(1).mergeable is True
    assert [one.number for one in repository.get_pulls(state="all")] == [1]
    pull.edit(title="Now", state="closed")
    pull.edit(state="open")
    assert pull.merge(commit_message="done").merged
    assert repository.get_pull(1).merged
    with pytest.raises(github.GithubException, match="not mergeable"):
        pull.merge()
    repository.get_git_ref("heads/next").delete()


def with_apps(forge: control.Forge, prefix: str) -> None:
    made, private = forge.create_app(slug=f"elysium{prefix.count('/')}")
    login = github.Auth.AppAuth(made["id"], private.reveal())
    app = github.GithubIntegration(
        auth=login,
        base_url=forge.info.api + prefix,
        verify=str(forge.info.ca_file),
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    assert app.get_app().id == made["id"]
    (one,) = app.get_installations()
    owner, name = forge.slug.split("/")
    assert app.get_repo_installation(owner, name).id == one.id
    assert app.get_user_installation(owner).id == one.id
    assert app.get_app_installation(one.id).id == one.id
    with pytest.raises(github.UnknownObjectException):
        app.get_org_installation("nobody")
    assert app.get_access_token(one.id).token.startswith("ghs_")
    app.close()
