"""What the sshd runs for a session: git's two server programs, on one repository.

Runs by itself (``python -I -S gitshell.py``), as the forced command of one
deploy key, so it imports only the standard library. Words like GitHub's:
"Error: Permission to … denied" and "marked as read only" are what people meet
(GitHub's page "Error: Permission to user/repo denied to user/other-repo" and
the reports about Flux's read-only keys).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

_COMMAND = re.compile(r"^(git[ -](?:upload|receive)-pack) '?/?([^' ]+?)(?:\.git)?/?'?$")
_READ_ONLY = "ERROR: The key you are authenticating with has been marked as read only."
_NOT_FOUND = "ERROR: Repository not found."
_GREETING = "Hi {0}! You've successfully authenticated, but GitHub does not provide shell access."


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _append(root: Path, record: dict[str, object]) -> None:
    moment = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    line = json.dumps({"time": f"{stamp}.{int(moment % 1 * 1e6):06d}+00:00", **record})
    descriptor = os.open(root / "git.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


def _updates(path: Path) -> list[list[str]]:
    text = path.read_text() if path.exists() else ""
    return [line.split(" ", 2) for line in text.splitlines()]


def _serve(program: str, repository: Path, session: Path) -> tuple[int, list[list[str]], bool]:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(repository),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "FORGE_SESSION": str(session),
        "LC_ALL": "C.UTF-8",
    }
    if "GIT_PROTOCOL" in os.environ:
        environment["GIT_PROTOCOL"] = os.environ["GIT_PROTOCOL"]
    arguments = ["git", program, str(repository)]
    process = os.posix_spawn("/usr/bin/git", arguments, environment)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    asked = _updates(session.with_suffix(".asked"))
    done = _updates(session.with_suffix(".done"))
    for suffix in (".asked", ".done"):
        session.with_suffix(suffix).unlink(missing_ok=True)
    return status, done, len(done) == len(asked)


def _refuse(root: Path, record: dict[str, object], message: str) -> int:
    _append(root, {**record, "result": "refused", "detail": message})
    _say(message, "fatal: Could not read from remote repository.", "")
    return 1


def main(arguments: list[str]) -> int:
    """Serve one session of the key described by ROOT KEY-ID ro|rw OWNER/NAME FINGERPRINT."""
    root, key_id, mode, slug, fingerprint = Path(arguments[0]), *arguments[1:]
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    found = _COMMAND.match(asked)
    record: dict[str, object] = {"key_id": int(key_id), "key": fingerprint, "repository": slug}
    (root / "last-used").mkdir(exist_ok=True)
    (root / "last-used" / key_id).touch()
    if not found:
        _append(root, {**record, "operation": "shell", "result": "refused", "detail": asked[:200]})
        _say(_GREETING.format(slug))
        return 1
    program = found[1].replace("git ", "git-").removeprefix("git-")
    record["operation"] = "push" if program == "receive-pack" else "fetch"
    fault = root / "ssh-fault"
    if fault.exists():
        return _refuse(root, record, fault.read_text().strip() or "ERROR: Internal error.")
    if found[2].lower() != slug.lower():
        return _refuse(root, record, _NOT_FOUND)
    if program == "receive-pack" and mode != "rw":
        return _refuse(root, record, _READ_ONLY)
    started = time.monotonic()
    (root / "sessions").mkdir(exist_ok=True)
    session = root / "sessions" / f"{key_id}-{os.getpid()}-{time.time_ns()}"
    status, updates, all_done = _serve(
        program, root / "repositories" / f"{slug.lower()}.git", session
    )
    result = "ok" if status == 0 and all_done else "failed" if all_done else "rejected"
    seconds = round(time.monotonic() - started, 4)
    record |= {"result": result, "status": status, "seconds": seconds}
    if record["operation"] == "push":
        record["updates"] = [{"old": o, "new": n, "ref": r} for o, n, r in updates]
    _append(root, record)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
