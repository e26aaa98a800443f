"""A fault before and after every step of a rotation: one key in force, nothing left over.

The steps are those of the code (`rotation.STEPS`). `make faults` runs all of
it; ``-m slice`` has every place once, with every fault in turn.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest

from provision import errors
from provision.provider.deploy_key import keypair
from provision.provider.deploy_key import rotation as deploy_key_rotation
from provision.provider.flux import objects as flux_objects
from tests.faults.conftest import Place
from tests.support import rotations, steps

TOUCHES: dict[str, frozenset[str]] = {
    "make": frozenset(),
    "register": frozenset({"api"}),
    "prove": frozenset({"ssh"}),
    "switch": frozenset({"cluster"}),
    "settle": frozenset({"cluster", "flux", "ssh"}),
    "remove": frozenset({"api"}),
}
"""What each step needs. A new step says so here, or nothing below runs."""
AFTERWARDS = frozenset({"api", "cluster"})
"""What the look needs that follows the last step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to be hurt: what it breaks, and how."""

    name: str
    breaks: str
    begin: Callable[[Place], object]


def answers(status: int, message: str = "") -> Callable[[Place], object]:
    body = {"body": {"message": message}} if message else {}
    return lambda place: place.forge.fault("respond", times=0, status=status, **body)


def flux_is(mode: str) -> Callable[[Place], object]:
    return lambda place: setattr(place.flux, "mode", mode)


FAULTS = (
    Fault(name="killed", breaks="", begin=lambda _: pytest.fail("only a process is killed")),
    Fault(name="api-500", breaks="api", begin=answers(500)),
    Fault(name="sshd-refuses", breaks="ssh", begin=lambda place: place.forge.ssh("refuse")),
    Fault(
        name="api-403",
        breaks="api",
        begin=answers(403, "Resource not accessible by personal access token"),
    ),
    Fault(name="cluster-gone", breaks="cluster", begin=lambda place: place.gate.shut()),
    Fault(name="api-429", breaks="api", begin=answers(429)),
    Fault(name="never-ready", breaks="flux", begin=flux_is("failing")),
    Fault(
        name="api-silent",
        breaks="api",
        begin=lambda place: place.forge.fault("hang", times=0, seconds=0.3),
    ),
    Fault(
        name="answers-lost",
        breaks="api",
        begin=lambda place: place.forge.fault("hang", times=0, seconds=0.3, when="after"),
    ),
    Fault(name="never-acts", breaks="flux", begin=flux_is("silent")),
)
PLACES = [
    (step.name, moment) for step in deploy_key_rotation.STEPS for moment in ("before", "after")
]


def cases() -> list[object]:
    found: list[object] = []
    for number, ((step, moment), fault) in enumerate(itertools.product(PLACES, FAULTS)):
        place, kind = divmod(number, len(FAULTS))
        marks = [pytest.mark.slice] if kind == place % len(FAULTS) else []
        found.append(
            pytest.param(step, moment, fault, id=f"{moment}-{step}-{fault.name}", marks=marks)
        )
    return found


def first_hurt(step: str, moment: str, fault: Fault) -> str:
    """Return the step that fails, ``look`` for the look afterwards, empty for none."""
    names = [one.name for one in deploy_key_rotation.STEPS]
    reached = names[names.index(step) + (moment == "after") :]
    for name in reached:
        if fault.breaks in TOUCHES[name]:
            return name
    return "look" if fault.breaks in AFTERWARDS else ""


def in_force(place: Place) -> str:
    """Return the fingerprint that the Secret holds and the forge knows."""
    pair = keypair.pair_of(keypair.secret_field(place.secret(), "identity"))
    assert pair is not None, "the Secret holds no key"
    assert pair.fingerprint in registered(place), "the forge does not know the Secret's key"
    assert rotations.git_words(place.forge, place.secret()) == ""
    return pair.fingerprint


def registered(place: Place) -> dict[str, str]:
    return {
        str(keypair.deploy_keys.fingerprint(key["key"])): key["title"]
        for key in place.forge.deploy_keys()
    }


@pytest.mark.slice
def test_the_table_has_every_step_of_the_code() -> None:
    assert list(TOUCHES) == [step.name for step in deploy_key_rotation.STEPS]


@pytest.mark.parametrize(("step", "moment", "fault"), cases())
def test_one_key_is_in_force_and_nothing_is_left_over(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str, moment: str, fault: Fault
) -> None:
    place.mend()
    place.state = place.job().run()
    old_secret, old = place.secret(), in_force(place)
    place.rounds += 1
    rotation = f"round {place.rounds}"

    # -- a rotation that is hurt
    hurt = first_hurt(step, moment, fault)
    if fault.name == "killed":
        place.job(rotation=rotation, step=step, moment=moment).killed()
    else:
        worlds: list[rotations.World] = []

        def begin() -> None:
            worlds[0].impatient()
            fault.begin(place)

        with monkeypatch.context() as patch:
            patch.setattr(
                deploy_key_rotation,
                "STEPS",
                steps.hooked(deploy_key_rotation.STEPS, step, moment, begin),
            )
            patch.setattr(flux_objects, "_GRACE", 0.5)
            if hurt == "settle" and fault.breaks in ("cluster", "flux"):
                patch.setattr(deploy_key_rotation, "_SETTLE_TIMEOUT", 2.0)
            if hurt:
                with pytest.raises(errors.ElysiumError) as caught:
                    place.job(rotation=rotation).run(worlds.append)
                said = caught.value.detail
            else:
                place.state = place.job(rotation=rotation).run(worlds.append)
                said = ""
        does = {one.name: one.does for one in deploy_key_rotation.STEPS}
        assert ("at the step: " + does[hurt] if hurt in does else "") in said

    # -- what it left
    place.mend()
    between = in_force(place)
    if fault.name != "killed" and "nothing changed" in said:
        assert list(registered(place)) == [old] == [between]
    if fault.name != "killed" and hurt in ("", "look", "remove"):
        assert between != old

    # -- the next run finishes or takes back
    again = place.rounds % 3 == 0
    place.state = place.job(rotation=f"again {place.rounds}" if again else "").run()
    now = in_force(place)
    assert list(registered(place)) == [now]
    assert rotations.git_words(place.forge, place.secret(), push=True) == ""
    assert again or now == between
    assert place.job().plan() == ()
    if now != old:
        assert "Permission denied" in rotations.git_words(place.forge, old_secret)
