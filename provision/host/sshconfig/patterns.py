"""Patterns of ssh_config(5), section PATTERNS: ``*``, ``?``, lists, negation."""

from __future__ import annotations


def matches(name: str, pattern: str) -> bool:
    """Return whether `name` matches one pattern. Only ``*`` and ``?`` are special.

    It goes back only to the last star, so the time is bounded by the product of both lengths.
    """
    at = here = 0
    star, after = -1, 0
    while at < len(name):
        char = pattern[here] if here < len(pattern) else ""
        if char == "*":
            star, after = here, at
            here += 1
        elif char and char in ("?", name[at]):
            at, here = at + 1, here + 1
        elif star >= 0:
            after += 1
            at, here = after, star + 1
        else:
            return False
    return not pattern[here:].strip("*")


def in_list(name: str, patterns: str) -> bool:
    """Return whether `name` matches a list of patterns, separated by commas.

    A negated pattern that matches decides against it; it never decides for it.
    """
    found = False
    for pattern in patterns.split(","):
        pattern = pattern.strip()
        if pattern.startswith("!"):
            if matches(name, pattern[1:]):
                return False
        elif matches(name, pattern):
            found = True
    return found


def host_in_list(host: str, patterns: str) -> bool:
    """Like `in_list`, for host names: upper and lower case are alike."""
    return in_list(host.lower(), patterns.lower())
