"""One upload by elysium's host layer; says how long it took once the session was open."""

from __future__ import annotations

import json
import pathlib
import sys
import time

from provision import config
from provision.host import facts, session


def main(source: str, target_file: str, remote: str) -> None:
    """Open a session, read the facts of the path as every resource does, upload."""
    target = json.loads(pathlib.Path(target_file).read_text())
    node = config.Node(
        name="bench",
        host=target["host"],
        port=target["port"],
        user=target["user"],
        identity_file=target["identityFile"],
        host_key=target["hostKey"],
        agent=False,
    )
    with session.NodeSession(node) as opened:
        opened.facts(facts.FactRequest(files=frozenset((remote,))))
        began = time.perf_counter()
        opened.stream(pathlib.Path(source), remote, mode=0o755)
        seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
