"""Configs of runs, in files."""

import json
from typing import Any, List

from dacapo.experiments import RunConfig


class FileConfigStore:
    def __init__(self, path: Any) -> None:
        self.runs = path / "runs"
        self.runs.mkdir(exist_ok=True, parents=True)

    def retrieve_run_config(self, run_name: str) -> RunConfig:
        config = json.loads((self.runs / f"{run_name}.yaml").read_text())
        if config.get("raises"):
            raise RuntimeError("no raw data found")
        return RunConfig(**config)

    def retrieve_run_config_names(self) -> List[str]:
        return [path.stem for path in self.runs.iterdir()]
