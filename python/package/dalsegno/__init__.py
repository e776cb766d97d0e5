"""dalsegno: the registry of what training runs wrote.

    >>> import dalsegno
    >>> with dalsegno.Registry("/data/runs", create=True) as registry:
    ...     registry.scan()
    ...     for row in registry.iterations(run="affinities", kind="output"):
    ...         print(row.iteration, row.outputs, row.complete)

:class:`Registry` is the entry. :mod:`dalsegno.dacapo` lets DaCapo use it. Errors are classes below
:class:`Error`, one for each code; see :mod:`dalsegno.errors`.
"""

from __future__ import annotations

import os as _os

from . import _native, errors
from ._arguments import Age, Iterations, Keep, Selection, Text
from ._error import Error
from ._listing import History, Listing
from ._native import Artifact, LocalArrayIdentifier, LocalContainerIdentifier
from ._progress import Progress
from .registry import Key, Plan, Registry, Target, rebuild

__all__ = [
    "Age",
    "Artifact",
    "Error",
    "History",
    "Iterations",
    "Keep",
    "Key",
    "Listing",
    "LocalArrayIdentifier",
    "LocalContainerIdentifier",
    "Plan",
    "Progress",
    "Registry",
    "Selection",
    "Target",
    "Text",
    "errors",
    "rebuild",
]

__version__: str = _native.__version__

# SQLite cannot be used across a fork: see the native half's module `call`.
_os.register_at_fork(
    before=_native._before_fork,
    after_in_parent=_native._after_fork_in_parent,
    after_in_child=_native._after_fork_in_child,
)
