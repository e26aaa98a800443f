"""What is told of an Intel GPU, from facts alone."""

from __future__ import annotations

from typing import Any

import pytest

from provision import errors
from provision.provider import resource
from provision.provider.gpu import device as gpu_device

INPUTS = {"node": "kyrion", "driver": "auto"}
CARD = "drm card0 0x8086 0x46d1 0000:00:02.0 i915"
RENDER = "drm renderD128 0x8086 0x46d1 0000:00:02.0 i915"
NODES = "node /dev/dri/card0 660 video\nnode /dev/dri/renderD128 660 render"
GOOD = f"{CARD}\n{RENDER}\n{NODES}\nfirmware i915\npci 0000:00:02.0 0x8086 0x46d1"


@pytest.fixture
def gpu() -> gpu_device.IntelGpu:
    return gpu_device.IntelGpu()


@pytest.fixture
def seen(make_facts: Any, make_system: Any) -> Any:
    def make(text: str, **system: Any) -> Any:
        request = gpu_device.fact_request(INPUTS)
        snippets = {name: text for name, _ in request.snippets}
        return make_facts(request, snippets=snippets, system=make_system(**system))

    return make


def test_a_good_gpu_is_found_and_needs_nothing(gpu: Any, seen: Any) -> None:
    facts = gpu_device.parse("kyrion", seen(GOOD))
    assert gpu.plan(facts, INPUTS, {}) == ()
    assert gpu.outputs(facts, INPUTS, {}) == {
        "driver": "auto",
        "devices": [
            {
                "path": "/dev/dri/card0",
                "renderNode": "/dev/dri/renderD128",
                "driver": "i915",
                "pciId": "8086:46d1",
            }
        ],
        "resourceName": "gpu.intel.com/i915",
        "warnings": [],
    }


def test_xe_is_offered_under_its_own_name(gpu: Any, seen: Any) -> None:
    facts = gpu_device.parse("kyrion", seen(GOOD.replace("i915", "xe")))
    assert gpu.outputs(facts, INPUTS, {})["resourceName"] == "gpu.intel.com/xe"


def test_two_gpus_are_both_listed_and_another_makers_is_not(gpu: Any, seen: Any) -> None:
    more = (
        "drm card1 0x8086 0x56a5 0000:03:00.0 i915\n"
        "drm renderD129 0x8086 0x56a5 0000:03:00.0 i915\n"
        "drm card2 0x10de 0x2204 0000:04:00.0 nvidia\n"
        "drm renderD130 0x10de 0x2204 0000:04:00.0 nvidia\n"
        "node /dev/dri/renderD129 660 render\nnode /dev/dri/renderD130 660 render\n"
    )
    facts = gpu_device.parse("kyrion", seen(f"{GOOD}\n{more}"))
    nodes = [one["renderNode"] for one in gpu.outputs(facts, INPUTS, {})["devices"]]
    assert nodes == ["/dev/dri/renderD128", "/dev/dri/renderD129"]


@pytest.mark.parametrize(
    ("text", "driver", "why"),
    [
        ("", "auto", "there is no Intel GPU"),
        ("drm card0 0x1234 0x1111 0000:00:01.0 bochs", "auto", "there is no Intel GPU"),
        ("pci 0000:00:02.0 0x8086 0x46d1", "auto", "has no driver"),
        (f"{CARD}\nnode /dev/dri/card0 660 video", "auto", "no render node"),
        (GOOD, "xe", "is driven by i915, and xe is wanted"),
        (GOOD.replace(" i915", " vfio-pci"), "auto", "driven by vfio-pci"),
        (f"{CARD.removesuffix('i915')}\n{NODES}", "auto", "driven by nothing"),
    ],
)
def test_why_there_is_none(gpu: Any, seen: Any, text: str, driver: str, why: str) -> None:
    facts = gpu_device.parse("kyrion", seen(text))
    (change,) = gpu.plan(facts, INPUTS | {"driver": driver}, {})
    assert why in change.summary
    assert change.property == "devices"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("firmware i915\n", ""), "no firmware for i915"),
        (GOOD.replace("renderD128 660 render", "renderD128 600 render"), "mode 0600"),
        (GOOD.replace("renderD128 660 render", "renderD128 660 root"), "group root"),
    ],
)
def test_what_is_short_is_a_warning_said_once(
    gpu: Any, seen: Any, make_context: Any, make_session: Any, text: str, words: str
) -> None:
    ctx = make_context(make_session(seen(text)))
    found, _ = resource.converge(gpu, ctx, INPUTS, {})
    outputs = gpu.outputs(found.facts, INPUTS, {})
    assert [words in warning for warning in outputs["warnings"]] == [True]
    assert len(ctx.warned) == 1
    assert words in ctx.warned[0]
    gpu.observe(ctx, INPUTS, outputs)
    assert len(ctx.warned) == 1


def test_another_gpu_is_taken_note_of(
    gpu: Any, seen: Any, make_context: Any, make_session: Any
) -> None:
    old = gpu.outputs(gpu_device.parse("kyrion", seen(GOOD)), INPUTS, {})
    assert gpu.plan(gpu_device.parse("kyrion", seen(GOOD)), INPUTS, INPUTS | old) == ()
    ctx = make_context(make_session(seen(GOOD.replace("i915", "xe"))))
    (change,) = gpu.plan(gpu.observe(ctx, INPUTS, old).facts, INPUTS, INPUTS | old)
    assert "8086:46d1 (xe)" in change.summary
    found, kept = resource.converge(gpu, ctx, INPUTS, INPUTS | old)
    assert gpu.outputs(found.facts, INPUTS, kept)["resourceName"] == "gpu.intel.com/xe"


def test_no_gpu_is_an_error_with_a_way_out(
    gpu: Any, seen: Any, make_context: Any, make_session: Any
) -> None:
    session = make_session(seen(""))
    with pytest.raises(errors.NotConvergedError, match="there is no Intel GPU") as caught:
        resource.converge(gpu, make_context(session), INPUTS, {})
    assert "configuration" in caught.value.hint
    assert session.ran == []


def test_a_driver_that_is_not_loaded_is_loaded(
    gpu: Any, seen: Any, make_context: Any, make_session: Any
) -> None:
    session = make_session(seen("pci 0000:00:02.0 0x8086 0x46d1"))
    run = session.run

    def load(script: str, **options: Any) -> None:
        run(script, **options)
        session.found = seen(GOOD, modules=frozenset({"i915"}))

    session.run = load
    found, _ = resource.converge(gpu, make_context(session), INPUTS, {})
    assert "modprobe -- i915" in session.ran[0]
    assert gpu.outputs(found.facts, INPUTS, {})["devices"]


def test_a_wrong_driver_is_refused(gpu: Any) -> None:
    _, problems = gpu.check({"node": "kyrion", "driver": "nouveau"})
    assert [problem.key for problem in problems] == ["driver"]
    assert gpu.check({"node": "kyrion"}) == ({"node": "kyrion", "driver": "auto"}, [])
