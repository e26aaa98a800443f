"""Hostile backups, states and servers, judged from outside: with strace and on a terminal.

Nothing here looks into elysium's own code: the command runs as a process, and the kernel tells
which files it opened and changed, whom it contacted, and what reached the terminal.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.engine.state import backend
from provision.gitops.sealing import keys as sealing_keys
from tests.support import forged, hostile, restores, watched
from tests.support.hostile import Reply, reply

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="strace and terminals are Linux'"),
    pytest.mark.timeout(600),
]

TOKEN = "ghp_canary_of_this_machine"
CANARY = "canary-3f9a-of-a-file"
ESCAPES = "good\x1b[2K\x1b]0;title\x07\r\x9b1A\u202eevil\u200b"
PIN = "SHA256:" + "A" * 43
NODE = ("--host", "198.51.100.9", "--host-key", PIN)
"""An address of documentation: nobody answers there."""
BASE = "/repos/me/homelab"
HEAD, TREE = "c0" * 20, "d0" * 20


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of somebody who has secrets in files; elysium's own folders are in it, too."""
    assert shutil.which("strace"), "make strace"
    for name in (".ssh/id_rsa", "mine", ".kube/config.d/token"):
        (tmp_path / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / name).write_text(CANARY)
    return tmp_path / "home"


@pytest.fixture
def folder(home: Path) -> Path:
    found = home.parent / "lab"
    found.mkdir()
    return found


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    phrase = restores.PASSPHRASE.reveal()
    return watched.environment(home, GITHUB_TOKEN=TOKEN, PULUMI_CONFIG_PASSPHRASE=phrase)


@pytest.fixture
def server() -> Iterator[hostile.Server]:
    with hostile.serve(lambda method, path: reply({"message": "Not Found"}, 404)) as found:
        yield found


def own(home: Path) -> tuple[Path, ...]:
    """Return the folders that elysium may write."""
    names = ("state", "cache", "config", "tmp", "elysium")
    return (*(home / name for name in names), home.parent / "lab")


def port(server: hostile.Server) -> str:
    return server.url.partition("//")[2]


# -- a forged backup -----------------------------------------------------------


def naming(url: str, home: Path) -> dict[str, str]:
    """Return what the configuration of a forged backup says: every way to an address or file."""
    github = f"    baseUrl: {url}\n    allowHttp: true\n"
    more = {
        "a server": github,
        "a file as the token": f"{github}    tokenFile: {home}/mine\n",
        "a file as the app's key": f"    app: {{id: '1', installationId: '2', "
        f"privateKeyFile: {home}/.ssh/id_rsa}}\n",
        "manifests": f"  elysium:flux:\n    manifests: {home}/mine\n",
        "a mirror": f"  elysium:artifacts:\n    mirror: {url}\n    pins: {home}/mine\n",
        "a place for backups": f"  elysium:backup:\n    directory: {home}/mine.d\n"
        f"    copies: [{{directory: {home}/copies}}, {{rclone: ':http,url={url}:'}}]\n",
        "a file of an encrypted stack": "encryptedkey: AAAA\nsecretsprovider: "
        f"awskms://x?endpoint={url}\n",
    }
    more["all of them"] = "".join(text for name, text in more.items() if "encrypted" not in name)
    return {name: text for name, text in more.items() if name != "a file as the app's key"}


KINDS = list(naming("http://x", Path("/x")))
COMMANDS = {
    "dry run": ("restore", "--dry-run"),
    "restore": ("restore", "--yes", *NODE),
    "drill": ("drill",),
}


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        *((command, "all of them") for command in COMMANDS),
        ("dry run", "a file of an encrypted stack"),
    ],
)
def test_an_unconfirmed_backup_sends_and_reads_nothing(
    home: Path,
    folder: Path,
    env: dict[str, str],
    server: hostile.Server,
    kind: str,
    command: str,
) -> None:
    opening = forged.write(home.parent, naming(server.url, home)[kind])
    seen = watched.trace([*COMMANDS[command], *opening], folder, env)
    assert seen.code not in (0, 1), seen.said
    assert "Traceback" not in seen.said
    assert (server.calls, server.tokens, seen.contacted) == ([], [], set())
    assert seen.read_outside(*own(home), Path(opening[0]), Path(opening[2])) == set()
    assert seen.changed_outside(*own(home)) == set()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("status", [301, 307])
def test_a_confirmed_server_that_redirects_is_not_followed(
    home: Path, folder: Path, env: dict[str, str], server: hostile.Server, status: int
) -> None:
    with hostile.serve(lambda method, path: reply({"full_name": "me/homelab"})) as other:
        server.answer = lambda method, path: hostile.redirect(status, f"{other.url}{path}")
        opening = forged.write(home.parent, naming(server.url, home)["a server"])
        words = ("restore", "--dry-run", *opening, "--trust-address", server.url)
        seen = watched.trace(words, folder, env)
        assert server.tokens and TOKEN in server.tokens[0]
        assert (other.calls, seen.contacted) == ([], {port(server)}), seen.said
    assert "redirect" in seen.said and "Traceback" not in seen.said


def tree(*names: str) -> Callable[[str, str], Reply]:
    """Return a server with one commit, in which files of `names` hold an object."""
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: canary}\n"
    blob = {"content": base64.b64encode(text.encode()).decode(), "encoding": "base64"}
    entry = {"type": "blob", "mode": "100644", "sha": "b0" * 20, "size": len(text)}

    def answer(method: str, path: str) -> Reply:
        path = path.partition("?")[0]
        known: dict[str, Any] = {
            BASE: {"full_name": "me/homelab", "permissions": {"push": True, "admin": True}},
            f"{BASE}/git/ref/heads/main": {"ref": "refs/heads/main", "object": {"sha": HEAD}},
            f"{BASE}/git/trees/{HEAD}": {
                "truncated": False,
                "tree": [{"path": name, **entry} for name in names],
            },
            f"{BASE}/git/blobs/{'b0' * 20}": blob,
            f"{BASE}/keys": [],
        }
        return reply(known[path]) if path in known else reply({"message": "Not Found"}, 404)

    return answer


@pytest.mark.parametrize(
    "names",
    [
        ("../../.ssh/authorized_keys",),
        ("clusters/kyrion/../../../../mine", "clusters/kyrion/a.yaml"),
        ("{home}/.ssh/authorized_keys",),
    ],
)
def test_a_tree_of_a_confirmed_server_is_written_nowhere_else(
    home: Path, folder: Path, env: dict[str, str], server: hostile.Server, names: tuple[str, ...]
) -> None:
    server.answer = tree(*(name.replace("{home}", str(home)) for name in names))
    opening = forged.write(home.parent, naming(server.url, home)["a server"])
    words = ("restore", "--dry-run", *opening, "--trust-address", server.url)
    seen = watched.trace(words, folder, env)
    assert "Traceback" not in seen.said, seen.said
    assert any("/git/trees/" in call for call in server.calls), server.calls
    assert seen.contacted == {port(server)}
    assert seen.changed_outside(*own(home)) == set()
    assert (home / "mine").read_text() == (home / ".ssh/id_rsa").read_text() == CANARY


# -- a kubeconfig in the state -------------------------------------------------


def kubeconfig(url: str, user: dict[str, Any], **cluster: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "a", "cluster": {"server": url, **cluster}}],
            "users": [{"name": "a", "user": user}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "current-context": "a",
        }
    )


def stack(folder: Path, text: str) -> None:
    """Make a stack whose state has the kubeconfig `text`."""
    (folder / "Pulumi.yaml").write_text(restores.PROJECT)
    configuration = restores.CONFIGURATION.format(salt=restores.vault().salt)
    configuration = configuration.replace("10.0.0.1", "198.51.100.9")
    (folder / "Pulumi.kyrion.yaml").write_text(configuration)
    document = {"version": 3, "checkpoint": {"stack": "organization/elysium/kyrion"}}
    document["checkpoint"]["latest"] = forged.state(text)["deployment"]  # type: ignore[index]
    place = backend.FileBackend("file://./.elysium/state", folder, "elysium", "kyrion")
    place.path.parent.mkdir(parents=True)
    place.path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        *((kind, ("kubeconfig", "--merge")) for kind in ("tokenFile", "exec", "client-key")),
        ("certificate-authority", ("kubeconfig", "--merge")),
        *((kind, ("restore", "--yes", *NODE)) for kind in ("tokenFile", "exec")),
    ],
)
def test_a_kubeconfig_reads_no_file_and_runs_nothing(
    home: Path,
    folder: Path,
    env: dict[str, str],
    server: hostile.Server,
    kind: str,
    command: tuple[str, ...],
) -> None:
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/usr/bin/touch"}
    user: dict[str, Any] = {
        "tokenFile": {"tokenFile": str(home / ".kube/config.d/token")},
        "exec": {"exec": program | {"args": [str(home / "ran")]}},
        "client-key": {
            "client-key": str(home / ".ssh/id_rsa"),
            "client-certificate": str(home / "mine"),
        },
    }.get(kind, {"token": "x"})
    more = {"certificate-authority": str(home / "mine")} if kind.startswith("certificate") else {}
    text = kubeconfig(server.url, user, **more)
    words: tuple[str, ...] = command
    if command[0] == "restore":
        opening = forged.write(home.parent, "    tokenFile: /nowhere\n", kubeconfig=text)
        trusted = ("--trust-address", server.url, "--trust-address", "/nowhere")
        words = (*command, *opening, *trusted)
    else:
        stack(folder, text)
    seen = watched.trace(words, folder, env)
    assert seen.code != 0 and "Traceback" not in seen.said, seen.said
    assert not {path for path in seen.read if path.startswith(str(home / ".kube/config.d"))}
    assert not {str(home / ".ssh/id_rsa"), str(home / "mine")} & seen.read
    assert not any(path.endswith("touch") for path in seen.ran) and not (home / "ran").exists()
    assert server.calls == [] and port(server) not in seen.contacted
    assert not (home / ".kube/config").exists()


# -- the terminal ----------------------------------------------------------------


def spoiled(home: Path, url: str) -> tuple[str, ...]:
    """Write a backup with control characters wherever a text may be; return what opens it."""
    from provision.recovery.bundle import manifest

    return forged.write(
        home.parent,
        naming(url, home)["a server"],
        changes={
            "elysium": ESCAPES,
            "versions": {"k3s": ESCAPES, ESCAPES: ESCAPES},
            "git": manifest.Git(repository=ESCAPES, branch="main", path=ESCAPES, revision=ESCAPES),
            "node": manifest.Node(name=ESCAPES, host=ESCAPES, system=ESCAPES),
            "absent": (ESCAPES,),
            "excluded": (ESCAPES,),
        },
    )


@pytest.mark.parametrize(
    "command", [("backup", "show"), ("backup", "verify"), ("restore", "--dry-run")], ids=" ".join
)
def test_a_backup_controls_no_terminal(
    home: Path,
    folder: Path,
    env: dict[str, str],
    server: hostile.Server,
    command: tuple[str, ...],
) -> None:
    server.answer = tree("clusters/kyrion/odd\x1b]0;x\x07.yaml")
    trusted = ("--trust-address", server.url) if command[0] == "restore" else ()
    seen = watched.show([*command, *spoiled(home, server.url), *trusted], folder, env)
    assert watched.controls(seen.said) == []
    assert "\\x1b" in seen.said, seen.said


def test_a_server_controls_no_terminal(
    home: Path, folder: Path, env: dict[str, str], server: hostile.Server
) -> None:
    for status in (200, 301, 403, 422):
        body = json.dumps({"message": ESCAPES, "full_name": ESCAPES}).encode()
        headers = {"Location": "/\x1b[2K\x07", "X-GitHub-SSO": "a\x1b[2K"}
        made = Reply(status=status, body=body, headers=headers)
        server.answer = lambda method, path, made=made: made
        opening = forged.write(home.parent, naming(server.url, home)["a server"])
        seen = watched.show(["restore", "--dry-run", *opening], folder, env, answers="y\n")
        assert server.tokens
        assert watched.controls(seen.said) == [], (status, seen.said)


def spoiled_stack(folder: Path) -> None:
    """Make a stack whose state, manifests and file names hold control characters."""
    stack(folder, kubeconfig("https://198.51.100.9:6443", {"token": "x"}) + f"# {ESCAPES}")
    state = folder / ".elysium/state/.pulumi/stacks/elysium/kyrion.json"
    document = json.loads(state.read_text())
    resources = document["checkpoint"]["latest"]["resources"]
    resources[0].setdefault("outputs", {})[f"a{ESCAPES}"] = ESCAPES
    resources[2]["urn"] += ESCAPES
    state.write_text(json.dumps(document))
    quoted = json.dumps(ESCAPES)
    manifests = folder / "repo"
    manifests.mkdir()
    (manifests / "odd\x1b]0;x\x07.yaml").write_text(f"kind: SealedSecret\n{ESCAPES}: [")
    (manifests / "a.yaml").write_text(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {quoted}\n  namespace: {quoted}\n"
        f"---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {quoted}}}\n"
        "spec: {encryptedData: {a: AAAA}}\n"
    )
    (folder / "keys.yaml").write_text(
        yaml.safe_dump(sealing_keys.key_secret(forged.KEY, namespace="flux-system", name="k"))
    )


@pytest.mark.parametrize(
    "command",
    [
        ("output",),
        ("stack", "graph"),
        ("stack", "export"),
        ("secret", "verify", "repo", "--keys", "keys.yaml"),
        ("gitops", "cold-start", "repo", "--path", "."),
    ],
    ids=" ".join,
)
def test_files_control_no_terminal(
    home: Path, folder: Path, env: dict[str, str], command: tuple[str, ...]
) -> None:
    spoiled_stack(folder)
    seen = watched.show(command, folder, env)
    assert watched.controls(seen.said) == []
    assert "\\x1b" in seen.said or "\\u001b" in seen.said, seen.said
    assert "Traceback" not in seen.said


def test_a_configuration_controls_no_terminal(
    home: Path, folder: Path, env: dict[str, str]
) -> None:
    stack(folder, "")
    path = folder / "Pulumi.kyrion.yaml"
    escaped = json.dumps(ESCAPES)
    path.write_text(f"{path.read_text()}    {escaped}: {escaped}\n    branch: {escaped}\n")
    for command in (("config", "validate"), ("config", "show"), ("preview",)):
        seen = watched.show(command, folder, env)
        assert watched.controls(seen.said) == []
        assert "\\x1b" in seen.said, seen.said
