"""What ``status`` says of the deploy key: facts, and what will be a problem later. Pure."""

from __future__ import annotations

import datetime

from provision.github import deploy_keys
from provision.provider.deploy_key import access as deploy_key_access
from provision.provider.resource import Values

_OLD = datetime.timedelta(days=365)


def facts(decision: deploy_key_access.Decision, now: datetime.datetime) -> list[tuple[str, str]]:
    """Return what there is to say of the key in force, by label; nothing where there is none."""
    key = decision.key
    if key is None:
        return []
    found = [
        ("title", key.title),
        ("fingerprint", key.fingerprint),
        ("access", "read-only" if key.read_only else "read-write"),
    ]
    found += dates(key, now)
    if key.added_by:
        found.append(("added by", key.added_by))
    return found


def dates(key: deploy_keys.DeployKey, now: datetime.datetime) -> list[tuple[str, str]]:
    """Return when the key was made, where GitHub says so, and when it was last used."""
    found: list[tuple[str, str]] = []
    if key.created_at is not None:
        found.append(("made", f"{_date(key.created_at)}, {_ago(now - key.created_at)}"))
    used = "GitHub has not seen it used"
    if key.last_used is not None:
        used = f"{_date(key.last_used)}, {_ago(now - key.last_used)}"
    return [*found, ("last used", used)]


def warnings(
    decision: deploy_key_access.Decision,
    inputs: Values,
    now: datetime.datetime,
    *,
    automation: bool,
) -> list[str]:
    """Return what works now and will hurt later. `automation`: Flux is to push image updates."""
    key = decision.key
    if key is None:
        return []
    found: list[str] = []
    if key.created_at is not None and now - key.created_at > _OLD:
        age = (now - key.created_at).days
        found.append(f"it is {age} days old: elysium rotate deploy-key replaces it")
    if automation and key.read_only and not inputs["readWrite"]:
        found.append(
            "it is read-only, and image automation has to push:"
            " elysium rotate deploy-key --read-write"
        )
    if decision.extra:
        found.append(
            f"{len(decision.extra)} of ours beside it that nothing uses:"
            " elysium rotate deploy-key --prune removes what is left over"
        )
    if _is_personal(key):
        found.append(
            f"whoever deletes the personal token of {key.added_by} that registered it deletes"
            " the key too; a GitHub App's key stays"
        )
    return found


def _is_personal(key: deploy_keys.DeployKey) -> bool:
    """Return whether a person's token registered it.

    Such a key goes when the token is deleted, not when it is regenerated (GitHub
    documentation, "Managing deploy keys"); apps act as ``<slug>[bot]``.
    """
    return bool(key.added_by) and not key.added_by.endswith("[bot]")


def _date(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).date().isoformat()


def _ago(age: datetime.timedelta) -> str:
    hours = max(int(age.total_seconds()) // 3600, 0)
    number, unit = (hours // 24, "day") if hours >= 24 else (hours, "hour")
    return f"{number} {unit}{'' if number == 1 else 's'} ago"
