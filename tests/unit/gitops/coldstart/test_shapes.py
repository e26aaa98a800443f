"""The verdicts on the shapes, beside what a real kustomize-controller made of each."""

from __future__ import annotations

import pytest

from provision.gitops.build import discovery
from provision.gitops.coldstart import analysis
from provision.gitops.coldstart.needs import Analysis
from provision.gitops.tree import Tree
from tests import shapes
from tests.shapes import Shape, recording, table

SHAPES = shapes.load()
RECORDED = recording.recorded()


def look(shape: Shape) -> Analysis:
    found = discovery.discover(Tree.of(shape.files), shape.path)
    return analysis.analyse_found(found, None, cluster=shape.cluster)


def findings(found: Analysis) -> list[str]:
    """Return what the verdict names: all of it, or what cannot be met where that is proven."""
    proven = found.verdict == "cannot come up"
    return [
        *(need.ref for need in (found.missing if proven else found.needs)),
        *(f"{problem.key}: {problem.message}" for problem in found.problems),
        *(one.ref for one in found.assumptions),
    ]


@pytest.mark.parametrize("name", SHAPES)
def test_the_verdict_and_what_it_names(name: str) -> None:
    shape = SHAPES[name]
    found = look(shape)
    named = findings(found)
    assert found.verdict == shape.expect, named
    assert len(named) == len(shape.names), named
    for wanted in shape.names:
        assert any(wanted in one for one in named), named


@pytest.mark.parametrize("name", SHAPES)
def test_the_verdict_is_true(name: str) -> None:
    """No false refusal, no false success."""
    assert name in RECORDED, "make coldstart-truth records it"
    found = RECORDED[name]
    match SHAPES[name].expect:
        case "comes up":
            assert found["alone"]["up"]
        case "needs a seed":
            assert not found["alone"]["up"]
            assert found["seeded"]["up"]
        case "cannot come up":
            assert not found["alone"]["up"]
        case "may come up":
            pass


def test_there_are_enough_and_most_are_definite() -> None:
    definite = [name for name, shape in SHAPES.items() if shape.expect != "may come up"]
    assert len(SHAPES) >= 30
    assert len(definite) * 3 >= len(SHAPES) * 2
    assert set(RECORDED) <= set(SHAPES)


def test_the_page_has_the_table() -> None:
    assert table.PAGE.read_text() == table.page(), "python -m tests.shapes docs"
