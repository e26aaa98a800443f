"""A systemd, a journal and a kubectl that play a start of k3s, frame by frame.

Each ``systemctl show`` goes to the next frame and stays at the last one; kubectl
answers from the frame that is shown. Anything else is refused.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.host import scripts

_SYSTEMCTL = """\
#!/bin/sh
cd {folder} || exit 1
echo "$*" >>calls
case $1 in
show)
    next=$(($(cat at) + 1))
    [ -d "frames/$next" ] && echo "$next" >at
    cat "frames/$(cat at)/unit";;
reset-failed) ;;
start|restart) [ "$2 $3" = "--no-block k3s.service" ] || exit 9;;
status) cat status 2>/dev/null;;
*) echo "systemctl $* is not known here" >&2; exit 9;;
esac
"""
_K3S = """\
#!/bin/sh
cd {folder}/frames/"$(cat {folder}/at)" || exit 1
echo "$*" >>{folder}/kubectl
case "$*" in
*/readyz*) what=readyz;;
*node/kyrion*lease/kyrion*) what=get;;
*"--raw /api/v1/nodes/kyrion/proxy/runningpods/"*) what=running;;
*"get pods -A --field-selector spec.nodeName=kyrion"*) what=pods;;
*) echo "kubectl $* is not known here" >&2; exit 9;;
esac
cat "$what.error" >&2 2>/dev/null
[ -e "$what" ] && cat "$what"
"""
_JOURNALCTL = '#!/bin/sh\n[ "$1" = --sync ] || cat {folder}/journal\n'


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What is seen at one moment. `lease` is when it was renewed, empty: there is none."""

    unit: str = "active running"
    restarts: int = 0
    job: int = 0
    invocation: str = "b"
    lease: str = "old"
    node: str = "True kubelet is posting ready status"
    error: str = ""
    """What kubectl says on standard error when it fails; `noise` it says in any case."""
    noise: str = ""
    readyz: str = "ok"
    pods: tuple[str, ...] = ()
    """Uid, name, the condition Ready, and what a mirror pod has in its annotation."""
    running: tuple[str, ...] | None = ()
    """The uids of the pods that run; None: the kubelet does not tell."""


@dataclass
class Machine:
    """A node whose scripts run here, with the programs above."""

    folder: Path
    name: str = "kyrion"
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, text in (
            ("systemctl", _SYSTEMCTL),
            ("k3s", _K3S),
            ("journalctl", _JOURNALCTL),
            ("sleep", "#!/bin/sh\nexec /bin/sleep 0.05\n"),
        ):
            path = self.folder / name
            path.write_text(text.format(folder=scripts.quote([str(self.folder)])))
            path.chmod(0o755)
        (self.folder / "journal").touch()

    def play(self, frames: Sequence[Frame], journal: str = "") -> None:
        """Have the programs answer by `frames` from now on."""
        for number, frame in enumerate(frames, 1):
            folder = self.folder / "frames" / str(number)
            folder.mkdir(parents=True)
            active, _, sub = frame.unit.partition(" ")
            (folder / "unit").write_text(
                f"ActiveState={active}\nSubState={sub}\nNRestarts={frame.restarts}\n"
                + (f"Job={frame.job}\n" if frame.job else "")
                + f"InvocationID={frame.invocation}\n"
            )
            (folder / "get.error").write_text(frame.noise + frame.error)
            (folder / "readyz.error").write_text(
                frame.noise + (frame.error or ("" if frame.readyz == "ok" else frame.readyz))
            )
            (folder / "pods").write_text("".join(f"{line}\n" for line in frame.pods))
            (folder / "running.error").write_text("Debug endpoints are disabled.\n")
            if frame.running is not None:
                (folder / "running.error").unlink()
                items = [{"metadata": {"uid": uid}} for uid in frame.running]
                (folder / "running").write_text(json.dumps({"kind": "PodList", "items": items}))
            if not frame.error:
                lease = f"Lease {frame.lease}\n" if frame.lease else ""
                (folder / "get").write_text(f"Node {frame.node}\n{lease}" if frame.node else lease)
                if frame.readyz == "ok":
                    (folder / "readyz").write_text("ok")
        (self.folder / "at").write_text("0")
        (self.folder / "journal").write_text(journal)

    def run(
        self, script: str, *, on_output: Callable[[bytes], None], timeout: float, **_more: Any
    ) -> Any:
        """Run a script as `provision.host.session.NodeSession.run` does."""
        from provision.host import channel

        here = script.replace("/usr/local/bin/k3s", str(self.folder / "k3s"))
        done = subprocess.run(
            ["/bin/sh", "-c", here],
            env=os.environ | {"PATH": f"{self.folder}:{os.environ['PATH']}"},
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        on_output(done.stdout)
        return channel.Completed(
            status=done.returncode, stdout=done.stdout, stderr=done.stderr, seconds=0
        )

    @property
    def calls(self) -> list[str]:
        """The calls of systemctl but for its questions."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if not line.startswith("show")]
