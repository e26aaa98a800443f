"""Host keys: what is pinned, what a server shows, and whether they agree.

The forms are read by `provision.hostkeys`, which the configuration uses too.
"""

from provision.hostkeys import (
    Entry,
    HostKey,
    Pin,
    Trust,
    fingerprint,
    name_of,
    parse_pin,
    parse_pins,
)

__all__ = [
    "Entry",
    "HostKey",
    "Pin",
    "Trust",
    "fingerprint",
    "name_of",
    "parse_pin",
    "parse_pins",
]
