"""The areas, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.torture import answers, fuzz
from tests.torture.cases import Area

AREAS: Mapping[str, Area] = {area.name: area for area in (fuzz.AREA, answers.AREA)}
