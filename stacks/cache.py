"""What was found in a repository at one commit, so that it is not looked for again.

In the user's cache, one small file a question. Kept is only what the
repository itself says in clear: an answer in which a decrypted value appears,
or that names problems, is found anew each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from provision.fileio import atomic

if TYPE_CHECKING:
    from provision.gitops.coldstart import preparation

_FORMAT = 1
_KEPT = 100


def folder() -> Path:
    """Return the folder of the answers."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("elysium")) / "repositories"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The answer to one question, if it is known."""

    path: Path

    @classmethod
    def of(cls, *question: Any) -> Self:
        """Return the memory for `question`: all that the answer depends on."""
        import provision

        text = json.dumps([_FORMAT, provision.__version__, *question], sort_keys=True)
        return cls(path=folder() / f"{hashlib.sha256(text.encode()).hexdigest()}.json")

    def recall(self) -> preparation.Preparation | None:
        """Return the answer, or None where it is not known (any more)."""
        from provision.gitops.coldstart import needs, preparation

        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            seeds = tuple(needs.Need(**seed) for seed in kept.pop("seeds"))
            return preparation.Preparation(
                **(kept | {"seeds": seeds, "notes": tuple(kept["notes"]), "problems": ()})
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self, answer: preparation.Preparation) -> None:
        """Remember `answer`, unless it names problems or is not for a file in clear.

        A cache that cannot be written is no failure.
        """
        if answer.problems or not answer.clear:
            return
        document = asdict(answer)
        for seed in document["seeds"]:
            if seed["sealed"] is not None:
                seed["object"] = None  # what was decrypted; it is opened again when it is needed
        with contextlib.suppress(OSError):
            self._write(json.dumps(document))

    def _write(self, text: str) -> None:
        atomic.write(self.path, text, sync=False)
        kept = sorted(self.path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)
        for old in kept[:-_KEPT]:
            old.unlink(missing_ok=True)
