"""Property values between the wire, the state file and the providers.

A value is plain JSON (None, bool, number, text, list, dict), or holds one of
the two marks that JSON has none for: `Sealed`, a secret around a value, and
`UNKNOWN`, a value that only a real run will know. Assets, archives and
resource references are dicts that carry Pulumi's signature key and pass
through unchanged.

In a state file a secret is an object with the ciphertext of its compact JSON;
`Vault` encrypts, and gives an unchanged secret the ciphertext it had.
"""

from __future__ import annotations

import enum
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision import crypter, errors
from provision.secret import Secret

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SEALED_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"
ASSET_SIGNATURE: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
REFERENCE_SIGNATURE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
FLOAT_SIGNATURE: Final = "8ad145fe-0d11-4827-bfd7-1abcbf086f5c"
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SHOWN: Final = 120


class Unknown(enum.Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "[unknown]"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Sealed:
    """A secret value. Its rendering never shows what it holds."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"


def seal(value: Any) -> Any:
    """Return `value` as a secret; a secret stays as it is."""
    return value if isinstance(value, Sealed) else Sealed(value)


def plain(value: Any) -> Any:
    """Return `value` with every secret mark taken away."""
    if isinstance(value, Sealed):
        return plain(value.value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def marked_like(sent: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return `answer` with what has a secret at the same key of `sent` secret.

    Maps are compared key by key. A list is secret as a whole, for its items may come back
    in another order.
    """
    found = dict(answer)
    for key, before in sent.items():
        after = found.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found[key] = marked_like(before, after)
        elif key in found and has_secret(before):
            found[key] = seal(after)
    return found


def has_secret(value: Any) -> bool:
    """Return whether `value` is a secret or holds one."""
    if isinstance(value, dict):
        return any(map(has_secret, value.values()))
    if isinstance(value, list):
        return any(map(has_secret, value))
    return isinstance(value, Sealed)


def has_unknown(value: Any) -> bool:
    """Return whether anything inside `value` is unknown."""
    return any(leaf is UNKNOWN for leaf in _leaves(value))


def render(value: Any) -> str:
    """Return `value` as short compact JSON with ``[secret]`` and ``[unknown]`` inside."""
    text = json.dumps(_hidden(value), ensure_ascii=False, separators=(", ", ": "))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def exposed(value: Any, show_secrets: bool) -> Any:
    """Return `value` for a caller: secrets as `Secret` (of their JSON), or as they are.

    An unknown, and a secret with one inside, is None. NaN and the infinities are their names.
    """
    if isinstance(value, Sealed):
        if has_unknown(value):
            return None
        inner = _worded(plain(value.value))
        if show_secrets:
            return inner
        return Secret(inner if isinstance(inner, str) else _compact(inner))
    if isinstance(value, dict):
        return {k: exposed(v, show_secrets) for k, v in value.items()}
    if isinstance(value, list):
        return [exposed(v, show_secrets) for v in value]
    return None if value is UNKNOWN else _worded(value)


class Vault:
    """Encrypts secrets for one state file, and decrypts those it read.

    A secret that is written again at the place it was read from, with the
    text it had, keeps its ciphertext: state files then differ only where
    something changed. A text at another place gets a ciphertext of its own.
    """

    def __init__(self, open_crypter: Callable[[], crypter.PassphraseCrypter]) -> None:
        """Use what `open_crypter` returns; called at the first secret, not before."""
        self._open = open_crypter
        self._known: dict[tuple[str, str], str] = {}

    def salt(self) -> str:
        """Return the salt state that belongs to the passphrase."""
        return self._open().salt

    def seal_text(self, place: str, text: str) -> str:
        """Return the ciphertext of `text` for `place`."""
        key = (place, text)
        if key not in self._known:
            self._known[key] = self._open().encrypt(text)
        return self._known[key]

    def open_text(self, place: str, ciphertext: str) -> str:
        """Return the text of `ciphertext` and remember the pair for `place`."""
        text = self._open().decrypt(ciphertext)
        self.remember(place, text, ciphertext)
        return text

    def remember(self, place: str, text: str, ciphertext: str) -> None:
        """Take `ciphertext` for `text`, should that be written at `place`."""
        self._known[(place, text)] = ciphertext


def to_state(value: Any, vault: Vault, place: str) -> Any:
    """Return `value` as a state file holds it.

    Keys are sorted. `place` names where it stands (URN and property path). Raises
    `errors.StackError` for an unknown: no state file may hold one.
    """
    if isinstance(value, Sealed):
        text = _compact(_in_plaintext(value.value, place))
        return {SIGNATURE: SEALED_SIGNATURE, "ciphertext": vault.seal_text(place, text)}
    if value is UNKNOWN:
        raise errors.StackError(f"{place} would be saved as unknown", operation="save")
    if isinstance(value, dict):
        return {k: to_state(value[k], vault, f"{place}.{k}") for k in sorted(value)}
    if isinstance(value, list):
        return [to_state(v, vault, f"{place}[{i}]") for i, v in enumerate(value)]
    return _from_float(value)


def from_state(value: Any, vault: Vault, place: str) -> Any:
    """Return what `to_state` was given. Raises `errors.StackError` on a wrong key."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SEALED_SIGNATURE:
            if "ciphertext" in value:
                ciphertext = str(value["ciphertext"])
                found = json.loads(vault.open_text(place, ciphertext))
                # Its keys may stand in another order than ours: it is the same secret.
                vault.remember(place, _compact(found), ciphertext)
            else:
                found = json.loads(str(value.get("plaintext", "null")))
            return Sealed(_from_plaintext(found))
        if value.get(SIGNATURE) == FLOAT_SIGNATURE:
            return _to_float(value, place)
        return {k: from_state(v, vault, f"{place}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [from_state(v, vault, f"{place}[{i}]") for i, v in enumerate(value)]
    return UNKNOWN if value == UNKNOWN_TEXT else value


def _in_plaintext(value: Any, place: str) -> Any:
    """Return the inside of a secret: secrets within are marked, not encrypted again."""
    if isinstance(value, Sealed):
        inner = _compact(_in_plaintext(value.value, place))
        return {SIGNATURE: SEALED_SIGNATURE, "plaintext": inner}
    if value is UNKNOWN:
        raise errors.StackError(f"{place} would be saved as unknown", operation="save")
    if isinstance(value, dict):
        return {k: _in_plaintext(v, place) for k, v in value.items()}
    if isinstance(value, list):
        return [_in_plaintext(v, place) for v in value]
    return _from_float(value)


def _from_plaintext(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SEALED_SIGNATURE:
            return Sealed(_from_plaintext(json.loads(str(value.get("plaintext", "null")))))
        if value.get(SIGNATURE) == FLOAT_SIGNATURE:
            return _to_float(value, "a secret")
        return {k: _from_plaintext(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_from_plaintext(v) for v in value]
    return value


def without_signatures(value: Any) -> Any:
    """Return `value`, which came from a state as JSON, with the names of special floats."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == FLOAT_SIGNATURE:
            return _worded(_to_float(value, "an export"))
        return {k: without_signatures(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_signatures(v) for v in value]
    return value


def _from_float(value: Any) -> Any:
    """Return NaN and the infinities, for which JSON has no numbers, as the bits of the float."""
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return {SIGNATURE: FLOAT_SIGNATURE, "value": struct.pack(">d", value).hex()}


def _to_float(value: Mapping[str, Any], place: str) -> float:
    """Return the float that `_from_float` wrote. Raises `errors.StackError` for another text."""
    text = value.get("value")
    try:
        number: float = struct.unpack(">d", bytes.fromhex(text.rjust(16, "0")))[0]  # pyright: ignore
    except (AttributeError, TypeError, ValueError, struct.error) as error:
        raise errors.StackError(
            f"{place} is a float with the bits {text!r}, where 16 hexadecimal digits are expected",
            operation="read the state",
            hint="take the state from a backup: elysium stack history lists them",
        ) from error
    return number


def _compact(value: Any) -> str:
    # Sorted, as upstream has it: a map that came over the wire has no order of its own.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Sealed):
        yield from _leaves(value.value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _worded(value: Any) -> Any:
    """Return `value` with NaN and the infinities as text, as protobuf writes them in JSON."""
    if isinstance(value, dict):
        return {k: _worded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_worded(v) for v in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _hidden(value: Any) -> Any:
    if isinstance(value, Sealed):
        return "[secret]"
    if value is UNKNOWN:
        return "[unknown]"
    if isinstance(value, dict):
        return {k: _hidden(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_hidden(v) for v in value]
    return value
