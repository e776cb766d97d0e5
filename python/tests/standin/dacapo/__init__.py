"""A stand-in of DaCapo's store classes, written from observed facts about them. For tests."""

import os
from dataclasses import dataclass


@dataclass
class DaCapoConfig:
    type: str
    runs_base_dir: str


class Options:
    @classmethod
    def instance(cls) -> DaCapoConfig:
        return DaCapoConfig(os.environ.get("DACAPO_TYPE", "files"), os.environ["RUNS_BASE_DIR"])
