"""Makes the harness and what it is built of importable."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).parent
for _folder in (_HERE, _HERE.parents[1] / "support"):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))
