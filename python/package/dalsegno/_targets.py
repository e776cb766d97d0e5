"""What a call is about: keys, artifacts, identifiers, numbers and paths."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, List, NamedTuple, Optional, Tuple, Union

from . import _arguments as arguments
from . import _native
from ._arguments import Text
from ._native import Artifact
from .errors import NotRecordedError


class Key(NamedTuple):
    """What an artifact is, for :meth:`Registry.record_many`. If a part is missing that its kind
    takes, or one is given that it does not take, the error names it."""

    kind: str
    run: Text
    iteration: Union[int, str, None] = None
    dataset: Optional[Text] = None
    parameters: Optional[Text] = None
    container: Optional[Text] = None


Target = Union[Artifact, int, Key, Text]
"""An artifact, its number, an identifier (ours or DaCapo's), a key, or a path, absolute or relative
to the base directory."""


_KEY = "a key is dalsegno.Key(kind, run, iteration, dataset, parameters, container)"

Named = Tuple[Union[Artifact, int, str], bool]
"""A target as the native half takes it, and whether it is a path, which may be that of a folder."""


def columns(
    key: Key,
) -> Tuple[str, str, Optional[str], Optional[str], Optional[str], Optional[str]]:
    if not isinstance(key, Key):
        raise TypeError(f"{_KEY}, not {key!r}")
    return (
        key.kind,
        arguments.name(key.run, what="a run", numbers=False),
        None if key.iteration is None else arguments.iteration(key.iteration),
        arguments.optional(key.dataset, what="a dataset"),
        arguments.optional(key.parameters, what="parameters"),
        arguments.optional(key.container, what="a container"),
    )


def place(identifier: Any) -> Optional[Tuple[Path, str]]:
    """Container and dataset of an identifier, ours or DaCapo's."""
    container = getattr(identifier, "container", None)
    dataset = getattr(identifier, "dataset", None)
    if container is None or dataset is None or isinstance(identifier, Artifact):
        return None
    container = arguments.text(container, what="a container", numbers=False)
    return Path.cwd() / container, arguments.text(dataset, what="a dataset", numbers=False)


def target(given: Any) -> Union[Artifact, int, str]:
    """A target as the native half takes it."""
    if isinstance(given, Artifact):
        return given
    if isinstance(given, Key):
        # Its path follows from it; one that is relative begins at the base directory.
        return os.fspath(_native.identifier(os.sep, columns(given))).lstrip(os.sep)
    if isinstance(given, int) and not isinstance(given, bool):
        if not -(2**63) <= given < 2**63:
            raise NotRecordedError(f"artifact {given} is not recorded")
        return given
    found = place(given)
    if found is not None:
        return os.path.join(*found)
    if isinstance(given, (Mapping, *arguments.Many)):
        raise TypeError(
            "an artifact is named by its number, its path, an identifier, a key or what list() "
            f"gives, not by {given!r}; {_KEY}"
        )
    container = getattr(given, "container", None)
    if container is not None:
        return str(Path.cwd() / arguments.text(container, what="a container", numbers=False))
    return arguments.tidy(arguments.text(given, what="a path", numbers=False))


def path(given: Any) -> str:
    """The path of what may be recorded no more."""
    found = target(given)
    if isinstance(found, int):
        raise TypeError("a number says no path; give the path, an identifier or an artifact")
    return os.fspath(found)


def paths(given: Any) -> List[str]:
    """One path or several of what may be recorded no more."""
    return [path(one) for one in given] if _is_many(given) else [path(given)]


def named(given: Any) -> List[Named]:
    """One target or several, each with whether it is a path, which may be that of a folder."""
    many = list(given) if _is_many(given) else [given]
    return [(target(one), isinstance(one, (str, PurePath))) for one in many]


def _is_many(given: Any) -> bool:
    # A listing is a sequence; so are texts and keys, each of which is one target.
    return isinstance(given, (*arguments.Many, Sequence)) and not isinstance(
        given, (Key, str, bytes)
    )


def targets(given: Any) -> List[Union[Artifact, int, str]]:
    """One target or several."""
    if _is_many(given):
        return [target(one) for one in given]
    return [target(given)]
