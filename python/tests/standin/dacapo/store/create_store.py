"""The seam: everything of DaCapo gets its stores here."""

import os
from pathlib import Path
from typing import Any

from dacapo import Options
from upath import UPath

from .file_config_store import FileConfigStore
from .file_stats_store import FileStatsStore
from .local_array_store import LocalArrayStore
from .mongo_stats_store import MongoStatsStore


def create_array_store() -> Any:
    return LocalArrayStore(UPath(os.environ["RUNS_BASE_DIR"]).expanduser())


def create_stats_store() -> Any:
    if Options.instance().type == "mongo":
        return MongoStatsStore()
    return FileStatsStore(UPath(Options.instance().runs_base_dir) / "stats")


def create_config_store() -> Any:
    if Options.instance().type == "mongo":
        return FileConfigStore(Path(os.environ["DACAPO_DATABASE"]) / "configs")
    return FileConfigStore(UPath(Options.instance().runs_base_dir) / "configs")
