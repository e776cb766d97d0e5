"""The seam: everything of DaCapo gets its store here."""

import os
from typing import Any

from upath import UPath

from .local_array_store import LocalArrayStore


def create_array_store() -> Any:
    return LocalArrayStore(UPath(os.environ["RUNS_BASE_DIR"]).expanduser())
