"""``python -m provision.sandbox.forge``: run a forge in the foreground until SIGTERM."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import signal
import socket
import sys
import threading
from pathlib import Path

from provision import errors
from provision.fileio import atomic
from provision.sandbox.forge import app, authority, listener


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"HOST:PORT is expected, not {text}")
    return host.strip("[]"), int(port)


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _options(arguments: list[str]) -> app.Options:
    parser = argparse.ArgumentParser(prog="python -m provision.sandbox.forge", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--api", type=_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--ssh", type=_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--owner", required=True)
    parser.add_argument("--repo", required=True)
    parser.add_argument("--branch", default="main", help="the default branch of new repositories")
    parser.add_argument("--public-host", default="", help="the host in SSH addresses")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS, with an own authority")
    found = parser.parse_args(arguments)
    return app.Options(
        root=found.root.absolute(),
        api_host=found.api[0],
        api_port=found.api[1],
        ssh_host=found.ssh[0],
        ssh_port=found.ssh[1] or _free_port(found.ssh[0]),
        owner=found.owner,
        repository=found.repo,
        default_branch=found.branch,
        public_host=found.public_host,
        tls=found.tls,
    )


def _describe(forge: app.Forge, api_port: int) -> dict[str, object]:
    options = forge.options
    host = f"[{options.api_host}]" if ":" in options.api_host else options.api_host
    return {
        "pid": os.getpid(),
        "api": f"{'https' if options.tls else 'http'}://{host}:{api_port}",
        "caFile": str(authority.ca_file(forge.root)) if options.tls else "",
        "owner": options.owner,
        "repository": options.repository,
        "sshHost": options.public_host or options.ssh_host,
        "sshAddress": options.ssh_host,
        "sshPort": forge.ssh.port,
        "gitHostKeys": forge.ssh.host_keys(),
        "tokenFile": str(forge.root / "token"),
        "adminFile": str(forge.root / "admin"),
        "callLog": str(forge.calls.path),
        "gitLog": str(forge.git_log.path),
    }


def main(arguments: list[str]) -> int:
    """Run a forge; returns the exit status."""
    options = _options(arguments)
    options.root.mkdir(parents=True, exist_ok=True)
    lock = (options.root / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write(f"error: another forge runs on {options.root}\n")
        return 1
    with lock:
        return _run(options)


def _run(options: app.Options) -> int:
    ready = options.root / "forge.json"
    ready.unlink(missing_ok=True)
    if not (options.root / "admin").exists():
        atomic.write(options.root / "admin", secrets.token_hex(16).encode())
    forge = app.Forge(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: forge.stop())
    try:
        forge.prepare()
        with listener.Server(forge) as server:
            forge.ssh.start()
            threading.Thread(target=server.serve_forever, daemon=True).start()
            data = json.dumps(_describe(forge, server.server_address[1]), indent=1).encode()
            atomic.write(ready, data)
            forge.run_until_stopped()
            server.shutdown()
    except (errors.ElysiumError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    finally:
        ready.unlink(missing_ok=True)
        forge.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
