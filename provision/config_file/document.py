"""One YAML file: parsed with its comments and line numbers, written back with them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.fileio import atomic

if TYPE_CHECKING:
    import ruamel.yaml

_MAX_BYTES = 1_000_000


@dataclass(kw_only=True)
class Document:
    """A parsed file. `data` is ruamel's mapping, which carries comments and lines."""

    path: Path
    data: Any
    text: str

    def line(self, container: Any, key: Any) -> int | None:
        """Return the 1-based line of `key` in a mapping, or of an item in a list."""
        try:
            if hasattr(container, "keys"):
                return int(container.lc.key(key)[0]) + 1
            return int(container.lc.item(key)[0]) + 1
        except (AttributeError, KeyError, TypeError, IndexError):
            return None  # merged in from an anchor, or added since

    def where(self, line: int | None) -> str:
        """Return ``file:line``, what a person can open."""
        return f"{self.path.name}:{line}" if line else self.path.name


def parse(path: Path) -> Document:
    """Read the YAML mapping in `path`.

    Raises `errors.ConfigError` naming the line when it is not there, not
    text, not YAML or not a mapping. Never quotes the file's content, which
    may hold a secret.
    """
    return parse_text(path, _read(path))


def parse_text(path: Path, text: str) -> Document:
    """Parse `text` as if `path` held it."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    from provision import safeyaml

    refused: errors.ConfigError | None = None
    data: Any = None
    beyond = safeyaml.problem(text, path.name)
    if beyond is not None:  # the file may be a backup's
        raise errors.ConfigError(f"{path.name} cannot be read", [beyond])
    try:
        data = yaml_for(text).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        refused = _refused(path, line, _problem(error))
    except YAMLError:
        refused = _refused(path, None, "it is not valid YAML")
    except RecursionError:
        refused = _refused(path, None, "it is nested too deeply")
    except Exception:  # noqa: BLE001 - the parser's own slips on odd input are still the file's fault
        refused = _refused(path, None, "it is not valid YAML")
    if refused is not None:
        raise refused  # out here, so that it does not carry the parser's error, which quotes
    if data is None:
        from ruamel.yaml.comments import CommentedMap

        data = CommentedMap()
    if not hasattr(data, "keys"):
        raise _refused(path, 1, "keys and values are expected here, such as 'config:'")
    return Document(path=path, data=data, text=text)


def render(document: Document) -> str:
    """Return the text of `document` as it stands, comments and layout kept."""
    buffer = io.StringIO()
    yaml_for(document.text).dump(document.data, buffer)
    return buffer.getvalue()


def block(value: Any) -> Any:
    """Return plain or parsed `value` as ruamel's containers in block style."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if hasattr(value, "keys"):
        return CommentedMap((k, block(v)) for k, v in value.items())
    if isinstance(value, list):
        return CommentedSeq(block(v) for v in value)
    return value


def write(document: Document) -> None:
    """Write `document` back to its file, whole or not at all."""
    text = render(document)
    try:
        atomic.write(document.path, text, mode=None)
    except OSError as error:
        raise errors.ConfigError(
            f"{document.path} cannot be written", [], hint=error.strerror or str(error)
        ) from error
    document.text = text


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise errors.ConfigError(
            f"{path.name} is not in {path.parent}", [], hint="elysium init writes one"
        ) from None
    except OSError as error:
        raise errors.ConfigError(
            f"{path} cannot be read", [], hint=error.strerror or str(error)
        ) from error
    if len(raw) > _MAX_BYTES:
        raise _refused(path, None, f"it has {len(raw)} bytes; at most {_MAX_BYTES} are expected")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refused(path, line, "it is not UTF-8 text") from None


def _refused(path: Path, line: int | None, message: str) -> errors.ConfigError:
    where = f"{path.name}:{line}" if line else path.name
    return errors.ConfigError(
        f"{path.name} cannot be read", [errors.Problem(message=message, where=where)]
    )


def _problem(error: Any) -> str:
    from ruamel.yaml.constructor import DuplicateKeyError

    problem = str(error.problem or "it is not valid YAML")
    if isinstance(error, DuplicateKeyError):
        # ruamel's text goes on with both values.
        match = re.match(r'found duplicate key "([^"]{1,100})"', problem)
        return f"the key {match[1]!r} is there twice" if match else "a key is there twice"
    return problem.splitlines()[0]


def yaml_for(text: str) -> ruamel.yaml.YAML:
    """Return a reader and writer that keeps comments, and the layout of `text`."""
    import ruamel.yaml

    offset = _sequence_offset(text)
    yaml = ruamel.yaml.YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 1_000_000  # long values stay on their line
    yaml.composer.warn_double_anchors = False  # YAML allows them; the warning quotes the file
    yaml.indent(mapping=2, sequence=2 + offset, offset=offset)
    return yaml


def _sequence_offset(text: str) -> int:
    """Return how far this file indents the dashes of a list below its key: 0 or 2."""
    previous: str | None = None
    for line in text.splitlines():
        stripped = line.lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("- ") and previous is not None and previous.rstrip().endswith(":"):
            key = previous.lstrip()
            indent = len(previous) - len(key)
            while key.startswith("- "):  # a key inside a list item sits after its dash
                key, indent = key[2:], indent + 2
            return 2 if len(line) - len(stripped) > indent else 0
        previous = line
    return 2
