"""The base of all models of the configuration, and their common types."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from provision import gitpaths

SafeName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
ObjectName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
Port = Annotated[int, Field(ge=1, le=65535)]


def _folder_in_git(path: str) -> str:
    """Return `path`; raise `ValueError` for what no folder of a repository can be called."""
    reason = gitpaths.unusable(path)
    if reason:
        raise ValueError(
            f"{reason}, and {path!r} has to be a folder in the repository, such as clusters/home"
        )
    return path


def _file_in_git(path: str) -> str:
    """Return `path` normalised; raise `ValueError` for what no file of a repository can be."""
    wanted = gitpaths.normal(path)
    reason = gitpaths.unusable(path) or ("" if wanted else "it names no file")
    if path.endswith("/"):
        reason = reason or "it ends with a slash"
    if reason:
        raise ValueError(
            f"{reason}, and {path!r} has to be a file in the repository, such as etc/certs/pub.pem"
        )
    return wanted


FolderInGit = Annotated[str, AfterValidator(_folder_in_git)]
FileInGit = Annotated[str, AfterValidator(_file_in_git)]


class Model(BaseModel):
    """A frozen part of the configuration: camelCase keys in YAML, and no unknown ones."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )
