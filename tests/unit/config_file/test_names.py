"""Names that Git or GitHub would refuse are refused in the file, with key and line."""

from __future__ import annotations

import json
import subprocess

import pytest

from provision import config_file, errors
from provision.config_file import checks

GOOD = """\
config:
  elysium:nodes:
    - name: kyrion
      host: 192.168.1.5
      hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA
  elysium:github:
    owner: {owner}
    repository: {repository}
    branch: {branch}
"""
BRANCHES = [
    *("main", "feature/x", "main#dev", "a.b", "ä", "100%", "a@b", "-", "a-", "x/HEAD", "a{b", "{"),
    *("", "@", "HEAD", "-x", "/x", "x/", "x.", ".x", "a/.b", "a.lock", "a.lock/b", "a..b", "a//b"),
    *("a b", "a\tb", "a\nb", "a\x7fb", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a@{b"),
    *("a/./b", "a/../b", "..", ".", "a/@", "@/a", "refs/heads/x", "a]b", "a@{", "\x1b[2J"),
]


def written(**names: str) -> str:
    defaults = {"owner": "me", "repository": "home", "branch": "main"}
    return GOOD.format(**{key: json.dumps(value) for key, value in (defaults | names).items()})


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_is_refused_exactly_where_git_refuses_it(stack, branch):
    done = subprocess.run(["git", "check-ref-format", f"refs/heads/{branch}"], check=False)
    asked = subprocess.run(
        ["git", "check-ref-format", "--branch", branch], check=False, capture_output=True
    )
    allowed = done.returncode == 0 and asked.returncode == 0 and branch not in ("@", "HEAD")
    assert (checks.branch_problem(branch) == "") is allowed
    if allowed:
        assert config_file.load(stack(written(branch=branch)), None).github.branch == branch
        return
    with pytest.raises(errors.ConfigError) as caught:
        config_file.load(stack(written(branch=branch)), None)
    (problem,) = caught.value.problems
    assert problem.where.endswith(":9")
    assert problem.key.endswith("github.branch")


@pytest.mark.parametrize("name", ["a/b", "..", ".", "a b", "a#b", "a?b", "a%2fb", "a\nb", "\x1b"])
@pytest.mark.parametrize(("key", "line"), [("owner", 7), ("repository", 8)])
def test_a_name_that_github_does_not_have_is_refused(stack, key, line, name):
    with pytest.raises(errors.ConfigError) as caught:
        config_file.load(stack(written(**{key: name})), None)
    (problem,) = caught.value.problems
    assert problem.where.endswith(f":{line}")
    assert problem.key.endswith(f"github.{key}")


@pytest.mark.parametrize("name", ["..", "a/b", "A", "a_b", "-a", "a-", "x" * 64, "a b", "a\n"])
@pytest.mark.parametrize(
    "key",
    ["flux.namespace", "sealing.namespace", "flux.source", "flux.kustomization", "flux.secret"],
)
def test_a_name_that_kubernetes_does_not_take_is_refused(stack, key, name):
    section, _, field = key.partition(".")
    wrong = f"{name}/" if len(name) == 64 and field != "namespace" else name
    text = f"{written()}  elysium:{section}:\n    {field}: {json.dumps(wrong)}\n"
    with pytest.raises(errors.ConfigError) as caught:
        config_file.load(stack(text), None)
    assert any(p.key.endswith(key) and p.where.endswith(":11") for p in caught.value.problems)
    config_file.load(stack(text.replace(json.dumps(wrong), '"flux-system"')), None)


def test_an_http_address_without_allow_http_is_warned_of(stack, crypter):
    text = written() + "    baseUrl: http://forge.lan\n"
    (warning,) = [w for w in config_file.read(stack(text), crypter).warnings if "http" in w.message]
    assert warning.where.endswith(":10")
    text += "    allowHttp: true\n"
    loaded = config_file.read(stack(text), crypter)
    assert loaded.config.github.allow_http
    assert not [w for w in loaded.warnings if "http" in w.message]
