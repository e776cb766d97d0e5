"""Recording, and DaCapo's ``ArrayStore``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import List, Optional, Tuple, Union

from . import _arguments as arguments
from . import _targets
from ._arguments import Text
from ._core import Core
from ._native import Artifact, LocalArrayIdentifier, LocalContainerIdentifier
from ._targets import Key
from .errors import CatalogElsewhereError


class Recording(Core):
    """Recording: the same key gives the same artifact for ever.

    On a host without the catalog, what is recorded is noted for the host that has it. The artifact
    is then the one of the published copy; one that the copy does not have has no number yet.
    """

    def record(
        self,
        kind: str,
        run: Text,
        iteration: Union[int, str, None] = None,
        dataset: Optional[Text] = None,
        parameters: Optional[Text] = None,
        container: Optional[Text] = None,
    ) -> Artifact:
        """Record a key; recording it again changes nothing and takes no lock.

        Args:
            kind: Such as ``output``; the words of the command line.
            run: Name of the run.
            iteration: Iteration, if the kind has one.
            dataset: Dataset, or index of inputs and best arrays.
            parameters: Post-processing parameters, or criterion of a best array.
            container: Name of the container: of an ``array``, or of a prediction or an output that
                lies in another one than ``validation.zarr``.

        Raises:
            Error: A name is refused (``name-…``, a ``ValueError``), or another key has this path.
            ValueError: The kind takes other parts.
        """
        columns = _targets.columns(Key(kind, run, iteration, dataset, parameters, container))
        if self._is_elsewhere:
            return self._note_records(self._native.noted([columns]))[0]
        try:
            return self._native.record(columns)
        except CatalogElsewhereError as error:
            self._go_elsewhere(error)
        return self._note_records(self._native.noted([columns]))[0]

    def record_many(self, keys: Iterable[Key]) -> List[Artifact]:
        """Record many keys in one transaction, all or none.

        Raises:
            Error: As :meth:`record`; then none is recorded.
        """
        columns = [_targets.columns(key) for key in keys]
        if self._is_elsewhere:
            return self._note_records(self._native.noted(columns))
        try:
            return self._native.record_many(columns)
        except CatalogElsewhereError as error:
            self._go_elsewhere(error)
        return self._note_records(self._native.noted(columns))

    def record_identifier(self, identifier: object) -> Artifact:
        """Record the array of an identifier, ours or DaCapo's, under the key that its path says.

        Raises:
            Error: It lies outside the base directory, in no container, or a name is refused.
        """
        place = _targets.place(identifier)
        if place is None:
            raise TypeError(f"{identifier!r} is not an identifier of an array")
        inbox = self._noting()
        if inbox is not None:
            return self._note_records([self._native.noted_identifier(inbox, *place)])[0]
        try:
            return self._native.record_identifier(*place)
        except CatalogElsewhereError as error:
            self._go_elsewhere(error)
        return self.record_identifier(identifier)

    def record_prediction(self, run: Text, iteration: Union[int, str], dataset: Text) -> Artifact:
        """Record the raw prediction of a validation."""
        return self.record("prediction", run, iteration, arguments.text(dataset, what="a dataset"))

    def record_output(
        self, run: Text, iteration: Union[int, str], dataset: Text, parameters: Text
    ) -> Artifact:
        """Record a post-processed prediction of a validation."""
        return self.record(
            "output",
            run,
            iteration,
            arguments.text(dataset, what="a dataset"),
            arguments.text(parameters, what="parameters"),
        )

    def record_inputs(self, run: Text, index: Optional[Text] = None) -> Tuple[Artifact, Artifact]:
        """Record the copies of a validation's raw input and ground truth, in this order."""
        raw, gt = self.record_many(
            [Key("input-raw", run, dataset=index), Key("input-gt", run, dataset=index)]
        )
        return raw, gt

    def record_best(self, run: Text, criterion: Text, index: Optional[Text] = None) -> Artifact:
        """Record the best output by a criterion."""
        criterion = arguments.text(criterion, what="a criterion")
        return self.record("best", run, dataset=index, parameters=criterion)

    def record_snapshot(
        self, run: Text, dataset: Text, iteration: Union[int, str, None] = None
    ) -> Artifact:
        """Record an array of a training snapshot, such as ``volumes/raw``."""
        return self.record("snapshot", run, iteration, arguments.text(dataset, what="a dataset"))

    def record_checkpoint(self, run: Text, iteration: Union[int, str]) -> Artifact:
        """Record a checkpoint of the training: one file."""
        return self.record("checkpoint", run, iteration)

    def record_array(self, run: Text, container: Text, dataset: Text) -> Artifact:
        """Record an array that the layout knows no better name for."""
        return self.record("array", run, dataset=dataset, container=container)

    # DaCapo's ArrayStore. Paths are exactly those that DaCapo's own store gives.

    def validation_prediction_array(
        self, run_name: Text, iteration: Union[int, str], dataset: Text
    ) -> LocalArrayIdentifier:
        """Give the array of a validation's raw prediction, and record it."""
        return _identifier(self.record_prediction(run_name, iteration, dataset))

    def validation_output_array(
        self, run_name: Text, iteration: Union[int, str], parameters: Text, dataset: Text
    ) -> LocalArrayIdentifier:
        """Give the array of a validation's output for one parameter set, and record it."""
        return _identifier(self.record_output(run_name, iteration, dataset, parameters))

    def validation_input_arrays(
        self, run_name: Text, index: Optional[Text] = None
    ) -> Tuple[LocalArrayIdentifier, LocalArrayIdentifier]:
        """Give the arrays of a validation's raw input and ground truth, and record them."""
        raw, gt = self.record_inputs(run_name, index)
        return _identifier(raw), _identifier(gt)

    def best_validation_array(
        self, run_name: Text, criterion: Text, index: Optional[Text] = None
    ) -> LocalArrayIdentifier:
        """Give the array of the best output by a criterion, and record it."""
        return _identifier(self.record_best(run_name, criterion, index))

    def snapshot_container(self, run_name: Text) -> LocalContainerIdentifier:
        """Give the container of a run's snapshots, and record it."""
        return self.record("snapshot-container", run_name).container

    def validation_container(self, run_name: Text) -> LocalContainerIdentifier:
        """Give the container of a run's validations, and record it."""
        return self.record("validation-container", run_name).container


def _identifier(artifact: Artifact) -> LocalArrayIdentifier:
    identifier = artifact.identifier
    assert identifier is not None, "a key of an array has an identifier"
    return identifier
