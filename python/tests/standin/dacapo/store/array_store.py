"""Identifiers, and what a store of arrays must have: names, arguments and types of DaCapo's."""

from abc import ABC, abstractmethod
from typing import Any, Optional, Tuple

import attr
from upath import UPath


@attr.s
class LocalArrayIdentifier:
    container: UPath = attr.ib()
    dataset: str = attr.ib()


@attr.s
class LocalContainerIdentifier:
    container: UPath = attr.ib()

    def array_identifier(self, dataset: str) -> LocalArrayIdentifier:
        return LocalArrayIdentifier(self.container, dataset)


class ArrayStore(ABC):
    @abstractmethod
    def validation_prediction_array(
        self, run_name: str, iteration: int, dataset: Any
    ) -> LocalArrayIdentifier: ...

    @abstractmethod
    def validation_output_array(
        self, run_name: str, iteration: int, parameters: Any, dataset: Any
    ) -> LocalArrayIdentifier: ...

    @abstractmethod
    def validation_input_arrays(
        self, run_name: str, index: Optional[str] = None
    ) -> Tuple[LocalArrayIdentifier, LocalArrayIdentifier]: ...

    @abstractmethod
    def remove(self, array_identifier: LocalArrayIdentifier) -> None: ...

    @abstractmethod
    def snapshot_container(self, run_name: str) -> LocalContainerIdentifier: ...

    @abstractmethod
    def validation_container(self, run_name: str) -> LocalContainerIdentifier: ...

    def concrete(self) -> str:
        """Like DaCapo's own helpers: written over the abstract calls."""
        return str(self.snapshot_container("run").container)
