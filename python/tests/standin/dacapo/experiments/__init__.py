"""Runs and their validation scores."""

from typing import Any, List

import attr


@attr.s
class ValidationIterationScores:
    iteration: int = attr.ib()
    scores: List[List[List[float]]] = attr.ib()


class EvaluationScores:
    def __init__(self, criteria: List[str]) -> None:
        self.criteria = criteria


@attr.s
class ValidationScores:
    parameters: List[Any] = attr.ib()
    datasets: List[Any] = attr.ib()
    evaluation_scores: EvaluationScores = attr.ib()
    scores: List[ValidationIterationScores] = attr.ib(factory=list)

    @property
    def criteria(self) -> List[str]:
        return self.evaluation_scores.criteria

    def add_iteration_scores(self, scores: ValidationIterationScores) -> None:
        self.scores.append(scores)


class Named:
    """A dataset, or the parameters of a post-processor: its text makes paths."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def __str__(self) -> str:
        return self.text


@attr.s
class RunConfig:
    """A run: a class of its own in older versions, that of its config in newer ones."""

    name: str = attr.ib()
    datasets: List[str] = attr.ib()
    parameters: List[str] = attr.ib()
    criteria: List[str] = attr.ib()

    @staticmethod
    def get_validation_scores(config: "RunConfig") -> ValidationScores:
        return ValidationScores(
            [Named(text, text) for text in config.parameters],
            [Named(name, f"ds_{name}") for name in config.datasets],
            EvaluationScores(config.criteria),
        )


Run = RunConfig
