"""Makes the recordings: every sequence under the `pulumi` on PATH.

python tests/conformance/engine/record.py "how that pulumi was come by" [sequence …]
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "support")]

import corpus  # noqa: E402 - found where they lie
import harness  # noqa: E402 - found where they lie

FOLDER = HERE / "recordings"


def main() -> None:
    origin, wanted = sys.argv[1], sys.argv[2:]
    version = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=True)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for sequence in corpus.SEQUENCES:
            if wanted and sequence.name not in wanted:
                continue
            steps = harness.run(Path(name), sequence, ["upstream"] * len(sequence.steps))
            body = {
                "pulumi": version.stdout.strip(),
                "origin": origin,
                "recorded": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "steps": steps,
            }
            text = json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
            (FOLDER / f"{sequence.name}.json").write_text(text)
            sys.stderr.write(f"{sequence.name}\n")


if __name__ == "__main__":
    main()
