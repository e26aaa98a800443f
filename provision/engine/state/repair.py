"""Mends a state file that breaks the rules of `integrity`, and says what it does.

Pure: a document in, a mended document and what was done out. What cannot be
mended without guessing is said and left.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from provision.engine.state import checkpoint, integrity, urns

Raw = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. `remedy` is what mends it; empty where nothing here can.

    `blocks` is false for what is only worth knowing: the state can be used as it is.
    """

    message: str
    remedy: str = ""
    blocks: bool = True


def mend(document: checkpoint.Document) -> tuple[checkpoint.Document, list[Finding]]:
    """Return `document` mended, and every finding. An intact one comes back as it is."""
    broken = integrity.check(document)
    if not broken:
        return document, []
    mended = copy.deepcopy(document)
    found: list[Finding] = []
    if any(each.rule == "magic" for each in broken):
        checkpoint.latest(mended)["manifest"] = checkpoint.manifest()
        found.append(_finding(broken, "magic", "the manifest is written anew"))
    resources = checkpoint.resources(mended)
    resources = _without_ids(resources, found)
    resources = _without_twins(resources, found)
    resources = _sorted(resources, found)
    resources = _with_providers(resources, found)
    resources = _without_dangling(resources, found)
    resources = _sorted(resources, found)
    checkpoint.latest(mended)["resources"] = resources
    left = integrity.check(mended)
    found += [Finding(message=each.message) for each in left]
    return mended, found


def without(
    document: checkpoint.Document, gone: frozenset[str], severed: frozenset[str] = frozenset()
) -> tuple[checkpoint.Document, list[str]]:
    """Return `document` without the resources `gone`, and the URNs that were in it.

    Nothing refers to them afterwards: not a dependency, not an operation that
    was under way, and no property named in `severed`, which what stays got
    from them. The stack's outputs are emptied, since they may come from
    what is gone; the next run writes them anew.
    """
    kept = copy.deepcopy(document)
    latest = checkpoint.latest(kept)
    resources = checkpoint.resources(kept)
    found = [str(each["urn"]) for each in resources if each["urn"] in gone]
    if not found:
        return document, []
    left = _without_dangling([each for each in resources if each["urn"] not in gone], [])
    for each in left:
        if each["type"] == urns.ROOT_TYPE:
            each["outputs"] = {}
        for kind in ("inputs", "outputs"):
            for name in severed & (each.get(kind) or {}).keys():
                del each[kind][name]
    latest["resources"] = left
    if latest.get("pending_operations"):
        latest["pending_operations"] = [
            each
            for each in latest["pending_operations"]
            if (each.get("resource") or {}).get("urn") not in gone
        ]
    return kept, found


def _finding(broken: list[integrity.Broken], rule: str, remedy: str) -> Finding:
    message = next(each.message for each in broken if each.rule == rule)
    return Finding(message=message, remedy=remedy)


def _without_ids(resources: list[Raw], found: list[Finding]) -> list[Raw]:
    for each in resources:
        if each.get("id") and not each.get("custom"):
            message = f"{each['urn']} is a component and has an id"
            found.append(Finding(message=message, remedy="the id is taken away"))
            del each["id"]
    return resources


def _without_twins(resources: list[Raw], found: list[Finding]) -> list[Raw]:
    """Keep one living resource for an URN: drop the same thing, mark another one for deletion."""
    first: dict[str, Raw] = {}
    kept: list[Raw] = []
    for each in resources:
        twin = first.get(each["urn"])
        if each.get("delete") or twin is None:
            if not each.get("delete"):
                first[each["urn"]] = each
            kept.append(each)
            continue
        message = f"{each['urn']} stands in it twice"
        if each.get("id", "") == twin.get("id", ""):
            found.append(Finding(message=message, remedy="the second record is dropped"))
            continue
        remedy = f"the second one ('{each.get('id')}') is marked to be deleted by the next up"
        found.append(Finding(message=message, remedy=remedy))
        each["delete"] = True
        kept.append(each)
    return kept


def _with_providers(resources: list[Raw], found: list[Finding]) -> list[Raw]:
    """Point resources whose provider is missing to the one of the same URN, if there is one."""
    ids: dict[str, str] = {}
    references: set[str] = set()
    for each in resources:
        if urns.is_provider(each["type"]):
            references.add(urns.provider_reference(each["urn"], each.get("id", "")))
            if not each.get("delete"):
                ids[each["urn"]] = each.get("id", "")
    for each in resources:
        reference = each.get("provider", "")
        if not reference or reference in references or each.get("pendingReplacement"):
            continue
        urn, _ = urns.split_reference(reference)
        if urn in ids:
            each["provider"] = urns.provider_reference(urn, ids[urn])
            message = f"{each['urn']} needs the provider {reference}, which is not there"
            found.append(Finding(message=message, remedy=f"it is given {each['provider']}"))
    return resources


def _without_dangling(resources: list[Raw], found: list[Finding]) -> list[Raw]:
    """Take away references to resources that are not in the file."""
    present = {each["urn"] for each in resources}
    root = next((each["urn"] for each in resources if each["type"] == urns.ROOT_TYPE), "")
    for each in resources:
        gone: set[str] = set()
        for key in ("dependencies", "replaceWith"):
            if key in each:
                gone |= {urn for urn in each[key] if urn not in present}
                each[key] = [urn for urn in each[key] if urn in present]
        properties = each.get("propertyDependencies") or {}
        for key, deps in properties.items():
            gone |= {urn for urn in deps or () if urn not in present}
            properties[key] = [urn for urn in deps or () if urn in present]
        for key, instead in (("parent", root), ("deletedWith", "")):
            if each.get(key) and each[key] not in present:
                gone.add(each.pop(key))
                if instead and instead != each["urn"]:
                    each[key] = instead
        for urn in sorted(gone):
            message = f"{each['urn']} refers to {urn}, which is not there"
            found.append(Finding(message=message, remedy="the reference is taken away"))
    return resources


def _sorted(resources: list[Raw], found: list[Finding]) -> list[Raw]:
    """Put every resource after what it refers to, else as it was; break circles."""
    waiting = list(resources)
    result: list[Raw] = []
    placed: set[str] = set()
    moved = False
    everything = {each["urn"] for each in resources}
    while waiting:
        for index, each in enumerate(waiting):
            # A record marked for deletion may need the living one of its own URN.
            missing = (_needs(each) & everything) - placed - {each["urn"]}
            if not missing:
                moved = moved or index > 0
                result.append(waiting.pop(index))
                placed.add(each["urn"])
                break
        else:
            each = waiting[0]
            missing = (_needs(each) & everything) - placed - {each["urn"]}
            _forget(each, missing)
            message = f"{each['urn']} depends in a circle on {', '.join(sorted(missing))}"
            found.append(Finding(message=message, remedy="its side of the circle is taken away"))
    if moved:
        message = "resources stand before what they refer to"
        found.append(Finding(message=message, remedy="they are put in order"))
    return result


def _needs(each: Raw) -> set[str]:
    needed = {each.get("parent", ""), each.get("deletedWith", "")}
    needed.update(each.get("dependencies") or ())
    needed.update(each.get("replaceWith") or ())
    for deps in (each.get("propertyDependencies") or {}).values():
        needed.update(deps or ())
    if each.get("provider"):
        needed.add(urns.split_reference(each["provider"])[0])
    needed.discard("")
    return needed


def _forget(each: Raw, missing: set[str]) -> None:
    for key in ("dependencies", "replaceWith"):
        if each.get(key):
            each[key] = [urn for urn in each[key] if urn not in missing]
    properties = each.get("propertyDependencies") or {}
    for key, deps in properties.items():
        properties[key] = [urn for urn in deps or () if urn not in missing]
    for key in ("parent", "deletedWith"):
        if each.get(key) in missing:
            del each[key]
    if each.get("provider") and urns.split_reference(each["provider"])[0] in missing:
        del each["provider"]
