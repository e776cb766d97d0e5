"""Statistics of runs, in files."""

import pickle
from typing import Any, List

from dacapo.experiments import ValidationIterationScores


class FileStatsStore:
    def __init__(self, path: Any) -> None:
        self.path = path
        self.validation_scores = path / "validation_scores"
        self.validation_scores.mkdir(exist_ok=True, parents=True)

    def store_validation_iteration_scores(self, run_name: str, scores: Any) -> None:
        self.__store(run_name, scores)

    def __store(self, run_name: str, scores: Any) -> None:
        docs = [
            {"iteration": one.iteration, "scores": one.scores, "run_name": run_name}
            for one in scores.scores
        ]
        (self.validation_scores / run_name).write_bytes(pickle.dumps(docs, protocol=4))

    def retrieve_validation_iteration_scores(
        self, run_name: str
    ) -> List[ValidationIterationScores]:
        docs = pickle.loads((self.validation_scores / run_name).read_bytes())
        return [ValidationIterationScores(doc["iteration"], doc["scores"]) for doc in docs]
