"""YAML documents with the place they come from.

Read as Kubernetes' own tools do: YAML 1.1 booleans and octal numbers, but no
dates and no base-60 numbers, which stay texts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

from provision import errors, safeyaml

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BASE_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_ONE_LINE: Final = 2**31 - 1
_SEPARATOR: Final = re.compile(r"^\ufeff?---(?:[ \t][^\r\n]*)?(?:\r?\n|\r?\Z)", re.MULTILINE)
_DROPPED: Final = (
    "tag:yaml.org,2002:timestamp",
    "tag:yaml.org,2002:value",
    "tag:yaml.org,2002:int",
)
_INT: Final = re.compile(
    r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"
)


Place = tuple[str, str, str]
"""Kind, namespace and name of an object."""

_STR: Final = "tag:yaml.org,2002:str"
_MAP: Final = "tag:yaml.org,2002:map"
_SEQ: Final = "tag:yaml.org,2002:seq"
_SIMPLE: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "int", "null"))


class _UnusualError(Exception):
    """Something that only PyYAML's own constructor builds."""


class Loader(safeyaml.Loader):
    """The safe loader, told what Kubernetes means by plain scalars, and quicker."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag of a node that has none."""
        if kind is yaml.ScalarNode and implicit[0]:
            return plain_tag(value)
        return super().resolve(kind, value, implicit)

    def construct_document(self, node: Any) -> Any:
        """Return the value of a document: as PyYAML would, in a third of the time."""
        try:
            return self._built(node, set())
        except _UnusualError:
            return super().construct_document(node)

    def _built(self, node: Any, seen: set[int]) -> Any:
        tag, content = node.tag, node.value
        if tag == _STR and type(node) is yaml.ScalarNode:
            return content
        if tag in _SIMPLE and type(node) is yaml.ScalarNode:
            with safeyaml.fitting(node):
                return self.yaml_constructors[tag](self, node)
        if id(node) in seen:  # an alias, perhaps to what it is in
            raise _UnusualError
        seen.add(id(node))
        if tag == _SEQ and type(node) is yaml.SequenceNode:
            return [self._built(item, seen) for item in content]
        if tag != _MAP or type(node) is not yaml.MappingNode:
            raise _UnusualError
        found: dict[Any, Any] = {}
        for key, value in content:
            if key.tag == _STR and type(key) is yaml.ScalarNode:
                found[key.value] = self._built(value, seen)
            else:
                raise _UnusualError
        return found


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DROPPED]
    for first, resolvers in _BASE.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))


@functools.lru_cache(maxsize=4096)
def plain_tag(value: str) -> str:
    """Return the tag of a plain scalar."""
    resolvers: Any = Loader.yaml_implicit_resolvers
    for tag, pattern in [*resolvers.get(value[:1], ()), *resolvers.get(None, ())]:
        if pattern.match(value):
            return tag
    return _STR


def plain(text: str) -> Any:
    """Return what a plain scalar `text` means: a text, unless it looks like something else."""
    return text if plain_tag(text) == _STR else load_all(text)[0]


class _Dumper(_BASE_DUMPER):
    """PyYAML's safe dumper; what Go would take for a number or a boolean gets quotes, too."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:value",
    re.compile(
        r"^(?:[yYnN]|[-+]?0o[0-7_]+|[-+]?\.?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]+)?)$"
    ),
    list("yYnN-+.0123456789"),
)


class _PlainDumper(_BASE_DUMPER):
    """PyYAML's safe dumper with the styles of Go's YAML."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, value: str) -> Any:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_PlainDumper.add_representer(str, _text)


@dataclass(frozen=True, kw_only=True)
class Document:
    """One object with its file and the line on which it begins (from 1)."""

    obj: dict[str, Any]
    file: str
    line: int

    @property
    def where(self) -> str:
        """Return ``file:line``."""
        return f"{self.file}:{self.line}" if self.file else f"line {self.line}"


def load_all(text: str, loader: Any = Loader) -> list[Any]:
    """Return every document of `text`. Raises `yaml.YAMLError`, also beyond the limits."""
    safeyaml.check(text)
    try:
        return list(yaml.load_all(text, Loader=loader))
    except UnicodeEncodeError as error:
        before = text[: error.start]
        mark = yaml.Mark("", error.start, before.count("\n"), 0, None, 0)
        raise yaml.MarkedYAMLError(problem="it is not UTF-8 text", problem_mark=mark) from error


def dump(value: Any) -> str:
    """Return `value` as YAML, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ONE_LINE)


def dump_plain(value: Any) -> str:
    """Return `value` as the YAML in which Flux substitutes: sorted, long texts as blocks.

    It matters where a value lands: inside a block a quote or a backslash means
    nothing, in a plain scalar a number becomes a number.
    """
    return yaml.dump(
        value, Dumper=_PlainDumper, sort_keys=True, allow_unicode=True, width=_ONE_LINE
    )


def split(text: str) -> Iterator[tuple[int, str]]:
    """Yield (first line, text) of each document of `text`."""
    for line, _, part in parts(text):
        yield line, part


def parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (first line, offset, text) of each document of `text`."""
    start = line = 0
    for match in _SEPARATOR.finditer(text):
        part = text[start : match.start()]
        yield line + 1, start, part
        line += part.count("\n") + 1
        start = match.end()
    yield line + 1, start, text[start:]


def read_text(
    text: str,
    file: str,
    problems: list[errors.Problem],
    *,
    only_objects: bool = True,
    loader: Any = Loader,
) -> list[Document]:
    """Return the mappings in `text`; what is no YAML or no mapping goes to `problems`.

    Values are never quoted in a problem. Without `only_objects`, what is YAML
    and no mapping is passed over.
    """
    found: list[Document] = []
    for line, part in split(text):
        try:
            loaded = load_all(part, loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            at = line + min(mark.line if mark else 0, part.rstrip().count("\n"))
            words = str(getattr(error, "problem", "") or "it cannot be parsed")
            if not isinstance(error, safeyaml.ExcessError):
                words = f"not YAML: {words}"
            problems.append(errors.Problem(message=words, where=_place(file, at)))
            continue
        for value in loaded:
            if value is None:
                continue
            begins = line + leading(part)
            if isinstance(value, dict):
                obj = cast("dict[str, Any]", value)
                found.append(Document(obj=obj, file=file, line=begins))
            elif only_objects:
                message = f"a {type(value).__name__} where a Kubernetes object is expected"
                problems.append(errors.Problem(message=message, where=_place(file, begins)))
    return found


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if file else f"line {line}"


def leading(part: str) -> int:
    """Return how many blank and comment lines come before the content of `part`."""
    for number, line in enumerate(part.splitlines()):
        if line.strip() and not line.lstrip().startswith("#"):
            return number
    return 0


def line_of(text: str, needle: str) -> int:
    """Return the first line that holds `needle`, else 1."""
    for number, line in enumerate(text.splitlines(), 1):
        if needle in line:
            return number
    return 1


def line_of_value(text: str, value: str) -> int:
    """Return the line of the first scalar `value` of the YAML `text`, however it is written."""
    if value in text:
        return line_of(text, value)
    try:
        for event in yaml.parse(text, Loader=_BASE):
            if isinstance(event, yaml.ScalarEvent) and event.value == value:
                return event.start_mark.line + 1
    except yaml.YAMLError:
        pass
    return 1


def mapping(value: Any) -> Mapping[str, Any]:
    """Return `value` where it is a mapping, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """Return `value` where it is a list, else an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else ()


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings in the list `value`."""
    return [cast("Mapping[str, Any]", one) for one in sequence(value) if isinstance(one, Mapping)]


def group_of(obj: Mapping[str, Any]) -> str:
    """Return the API group of `obj`, empty for the core one."""
    return str(obj.get("apiVersion") or "").rpartition("/")[0]


def place_of(obj: Mapping[str, Any]) -> Place:
    """Return kind, namespace and name of `obj`."""
    metadata = mapping(obj.get("metadata"))
    return str(obj.get("kind")), str(metadata.get("namespace") or ""), str(metadata.get("name"))


def ref_of(place: Place) -> str:
    """Return ``Kind namespace/name`` of `place`."""
    kind, namespace, name = place
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def ref(obj: Mapping[str, Any]) -> str:
    """Return ``Kind namespace/name`` of `obj`, as people name it."""
    metadata = mapping(obj.get("metadata"))
    name = metadata.get("name") or "?"
    namespace = metadata.get("namespace")
    return f"{obj.get('kind')} {namespace}/{name}" if namespace else f"{obj.get('kind')} {name}"
