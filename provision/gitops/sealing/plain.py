"""Secrets in clear, read as kubeseal and the Kubernetes API read them.

A plain scalar where a text belongs becomes the text that Go makes of it:
``yes`` is ``true``, ``0755`` is ``493``, ``1e3`` is ``1000``.
"""

from __future__ import annotations

import base64
import binascii
import decimal
import functools
import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from provision import errors
from provision.gitops import documents

_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"[-+]?(?:0b[01]+|0o?[0-7]*|0x[0-9a-fA-F]+|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TRUE: Final = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
_FALSE: Final = frozenset(
    ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"]
)
_LEAST_INT, _MOST_INT = -(2**63), 2**64 - 1
_EXPONENTS: Final = range(-4, 6)
"""Go writes numbers with other exponents as ``1e+06``."""


class _Loader(documents.Loader):
    """Reads plain scalars as the YAML of Kubernetes' Go tools does, which is YAML 1.1 almost."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag of a node that has none."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _tag(value)
        return super().resolve(kind, value, implicit)


@functools.lru_cache(maxsize=4096)
def _tag(value: str) -> str:
    digits = value.replace("_", "") if value[:1] != "_" else value
    if value in _TRUE or value in _FALSE:
        return f"{_TAG}bool"
    if digits[:1] in tuple("+-.0123456789"):
        if _INT.fullmatch(digits.lower()) and digits[-1:] not in ("o", "O"):
            return f"{_TAG}int"
        if _FLOAT.fullmatch(digits) or _NO_NUMBER.fullmatch(digits):
            return f"{_TAG}float"
    found = documents.plain_tag(value)
    return found if found in (f"{_TAG}null", f"{_TAG}merge") else f"{_TAG}str"


def _number(_loader: Any, node: Any) -> int | float:
    digits = str(node.value).replace("_", "").lower()
    if _INT.fullmatch(digits):
        unsigned = digits.lstrip("+-")
        octal = unsigned[:1] == "0" and unsigned[1:].isdigit()
        made = int(unsigned, 8 if octal else 0) * (-1 if digits[:1] == "-" else 1)
        return made if _LEAST_INT <= made <= _MOST_INT else float(made)
    return float(digits.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor(f"{_TAG}int", _number)
_Loader.add_constructor(f"{_TAG}float", _number)
_Loader.add_constructor(f"{_TAG}bool", lambda _, node: node.value in _TRUE)


def read(text: str, file: str, problems: list[errors.Problem]) -> list[documents.Document]:
    """Return the Secrets in `text`, also those in Lists; anything else goes to `problems`."""
    found: list[documents.Document] = []
    for doc in documents.read_text(text, file, problems, loader=_Loader):
        items = doc.obj.get("items")
        is_list = str(doc.obj.get("kind")).endswith("List") and isinstance(items, list)
        for obj in items if is_list and items else [doc.obj]:
            if isinstance(obj, dict) and obj.get("kind") == "Secret":
                found.append(documents.Document(obj=obj, file=doc.file, line=doc.line))
            else:
                kind = obj.get("kind") if isinstance(obj, dict) else "something else"
                message = f"a Secret is expected, not {kind}"
                problems.append(errors.Problem(where=doc.where, message=message))
    return found


def as_text(value: Any) -> str | None:
    """Return the text that Go makes of a scalar where a text is expected, None of a collection."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _float(value) if isinstance(value, float) else None


def _float(value: float) -> str:
    """Return `value` as kubeseal's ``strconv.FormatFloat(value, 'g', -1, 32)`` writes it."""
    single = _single(value)
    if math.isnan(single) or math.isinf(single):
        return "NaN" if math.isnan(single) else "+Inf" if single > 0 else "-Inf"
    shortest = next(text for text in _precisions(single) if _single(float(text)) == single)
    sign, digits, exponent = decimal.Decimal(shortest).normalize().as_tuple()
    point = len(digits) + int(exponent) - 1
    if single and point not in _EXPONENTS:
        text = "".join(map(str, digits))
        mantissa = text[0] + (f".{text[1:]}" if text[1:] else "")
        return f"{'-' * sign}{mantissa}e{'-' if point < 0 else '+'}{abs(point):02}"
    return f"{decimal.Decimal(shortest).normalize():f}"


def _single(value: float) -> float:
    """Return `value` with the precision of 32 bits."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def _precisions(value: float) -> Iterator[str]:
    """Yield `value` with more and more digits; nine tell any two of 32 bits apart."""
    yield from (f"{value:.{digits}e}" for digits in range(9))


def values(secret: Mapping[str, Any]) -> tuple[dict[str, bytes], list[errors.Problem]]:
    """Return the values of a Secret by name, and what is wrong with the others."""
    found: dict[str, bytes] = {}
    problems: list[errors.Problem] = []
    for name in ("data", "stringData"):
        entries = secret.get(name) or {}
        if not isinstance(entries, Mapping):
            problems.append(errors.Problem(key=name, message="a map is expected"))
            continue
        for key, value in entries.items():
            try:
                found[as_text(key) or ""] = decoded(value) if name == "data" else _encoded(value)
            except ValueError as error:
                problems.append(errors.Problem(key=f"{name}.{key}", message=str(error)))
    return found, problems


def decoded(value: Any) -> bytes:
    """Return what `value` is the base64 of, as Go reads it: line breaks mean nothing.

    Raises `ValueError`, without the value.
    """
    if not isinstance(value, str | None):
        raise ValueError("a text in base64 is expected: put it into quotes")
    joined = re.sub(r"[\r\n]", "", value or "")
    try:
        return base64.b64decode(joined.encode(errors="replace"), validate=True)
    except binascii.Error:
        raise ValueError("the value is not base64") from None


def _encoded(value: Any) -> bytes:
    if isinstance(value, bytes):  # !!binary
        return value
    text = as_text(value)
    if text is None:
        raise ValueError("a text is expected, not a list or a map")
    return text.encode()
