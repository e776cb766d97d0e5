"""Statistics of runs, in a database: here a folder elsewhere."""

import os
from pathlib import Path

from .file_stats_store import FileStatsStore


class MongoStatsStore(FileStatsStore):
    def __init__(self) -> None:
        super().__init__(Path(os.environ["DACAPO_DATABASE"]))
