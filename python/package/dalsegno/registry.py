"""The registry of a base directory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Type, Union

from . import _native
from . import _arguments as arguments
from ._arguments import Age, Iterations, Keep, Selection, Text
from ._listing import Listing
from ._native import Artifact, LocalArrayIdentifier, LocalContainerIdentifier
from ._progress import Wanted, told
from .values import (
    Chain,
    DiskUse,
    EmptiedTrash,
    GcReport,
    Image,
    Iteration,
    Operation,
    Pin,
    PinChange,
    PlanLine,
    Rebuilt,
    Refreshed,
    Removal,
    Removed,
    Repaired,
    Restored,
    Run,
    Scanned,
    Score,
    Sum,
    Undone,
    Verified,
    build,
    build_all,
)

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

logger = logging.getLogger("dalsegno")

Target = Union[Artifact, int, Text]
"""An artifact, its number, an identifier (ours or DaCapo's), or a path, absolute or relative to the
base directory."""


class Key(NamedTuple):
    """What an artifact is, for :meth:`Registry.record_many`. Which parts a kind takes, the library
    says where one is missing or too many."""

    kind: str
    run: Text
    iteration: Union[int, str, None] = None
    dataset: Optional[Text] = None
    parameters: Optional[Text] = None
    container: Optional[Text] = None


def _columns(key: Key) -> Tuple[str, str, Optional[str], Optional[str], Optional[str], Optional[str]]:
    return (
        key.kind,
        arguments.text(key.run, what="a run", numbers=False),
        None if key.iteration is None else arguments.iteration(key.iteration),
        arguments.optional(key.dataset, what="a dataset"),
        arguments.optional(key.parameters, what="parameters"),
        arguments.optional(key.container, what="a container"),
    )


def _place(identifier: Any) -> Optional[Tuple[Path, str]]:
    """Container and dataset of an identifier, ours or DaCapo's."""
    container = getattr(identifier, "container", None)
    dataset = getattr(identifier, "dataset", None)
    if container is None or dataset is None or isinstance(identifier, Artifact):
        return None
    container = arguments.text(container, what="a container", numbers=False)
    return Path.cwd() / container, arguments.text(dataset, what="a dataset", numbers=False)


def _target(target: Any) -> Union[Artifact, int, str]:
    if isinstance(target, Artifact):
        return target
    if isinstance(target, int) and not isinstance(target, bool):
        return target
    place = _place(target)
    if place is not None:
        return os.path.join(*place)
    container = getattr(target, "container", None)
    if container is not None:
        return str(Path.cwd() / arguments.text(container, what="a container", numbers=False))
    return arguments.text(target, what="a path", numbers=False)


def _path(target: Any) -> str:
    """The path of what may be recorded no more."""
    found = _target(target)
    if isinstance(found, int):
        raise TypeError("a number says no path; give the path, an identifier or an artifact")
    return os.fspath(found)


def _targets(targets: Any) -> List[Union[Artifact, int, str]]:
    if isinstance(targets, arguments.Many):
        return [_target(target) for target in targets]
    return [_target(targets)]


def _sum(fields: Dict[str, Any]) -> Sum:
    return build(Sum, {"artifacts": fields["artifacts"], **fields["size"]})


class Plan:
    """A plan of what may go: what stays, what goes, and why. Nothing has gone yet."""

    def __init__(self, native: _native.Plan) -> None:
        self._native = native
        self._text: Optional[str] = None

    @property
    def id(self) -> str:
        """Its id; the history remembers it with each removal."""
        return self._native.id

    @property
    def policy(self) -> str:
        """Its rules in words."""
        return self._native.policy

    @property
    def lines(self) -> Tuple[PlanLine, ...]:
        """A line for each artifact, ordered by run, kind, dataset, iteration, parameters."""
        return tuple(build_all(PlanLine, self._native.lines()))

    @property
    def removed(self) -> Tuple[PlanLine, ...]:
        """The lines of what goes."""
        return tuple(line for line in self.lines if line.removed)

    @property
    def kept(self) -> Tuple[PlanLine, ...]:
        """The lines of what stays."""
        return tuple(line for line in self.lines if not line.removed)

    @property
    def total_removed(self) -> Sum:
        """What goes, in all."""
        return _sum(self._native.totals()["removed"])

    @property
    def total_kept(self) -> Sum:
        """What stays, in all."""
        return _sum(self._native.totals()["kept"])

    @property
    def unmet(self) -> Tuple[str, ...]:
        """Limits that are not met although all that may go does, in words."""
        return tuple(self._native.unmet)

    @property
    def notices(self) -> Tuple[str, ...]:
        """What to look at before the plan is carried out, in words."""
        return tuple(self._native.notices)

    def to_json(self) -> str:
        """Give the plan as a text that ``dalsegno gc --apply FILE`` and :meth:`Registry.apply` carry
        out, days later if you like: what changed since is then left alone."""
        return self._native.text()

    def __repr__(self) -> str:
        gone, stays = self.total_removed.artifacts, self.total_kept.artifacts
        return f"<Plan {self.id}: {gone} go, {stays} stay>"


class Registry:
    """One base directory and its catalog.

    Usable from several threads; several registries and processes may use one base directory at once.
    Long calls let other threads run and answer Ctrl-C at the next boundary; a change that has begun,
    such as a removal that moves its data, is finished first. Before a fork the catalog is closed and opened
    again on both sides; a registry pickles as its base directory, so it goes to spawned processes too.

    Args:
        base: The base directory, which holds the runs. It must be there.
        create: Make the registry where there is none; a folder ``.dalsegno`` appears.
        read_only: Refuse every change. Works on a read-only mount.
        catalog: Keep the catalog in this file, on a local disk, rather than in the base directory.
        single_host: With ``create``, a catalog on a network file system, written on this host only.
        lock_timeout: How long a change waits while others write; seconds, or as in ``"90s"``.

    Raises:
        NoRegistryError: There is none, and ``create`` is not given.
        BaseNotFoundError: The base directory does not exist.
        Error: The registry cannot be opened; the message and ``hint`` say what to do.
    """

    def __init__(
        self,
        base: Text,
        create: bool = False,
        *,
        read_only: bool = False,
        catalog: Optional[Text] = None,
        single_host: bool = False,
        lock_timeout: Age = 60.0,
    ) -> None:
        given = arguments.text(base, what="a base directory", numbers=False)
        path = os.path.expanduser(given) if given else os.curdir
        self._given = (read_only, single_host, arguments.seconds(lock_timeout))
        self._catalog = None if catalog is None else arguments.text(catalog, what="a catalog")
        self._native = _native.Registry(
            path, create, read_only, self._catalog, single_host, self._given[2]
        )
        for problem in self._native.recovery[2]:
            logger.warning("%s", problem)

    def __reduce__(self) -> Tuple[Any, ...]:
        read_only, single_host, timeout = self._given
        catalog = None if self._catalog is None else str(self.catalog_path)
        return _open_again, (type(self), str(self.base), read_only, catalog, single_host, timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.base)!r}{', closed' if self.closed else ''})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalog. Every later call raises ``ValueError``; closing twice does nothing."""
        self._native.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._native.closed

    @property
    def base(self) -> Path:
        """The base directory, absolute."""
        return self._native.base

    @property
    def catalog_path(self) -> Path:
        """The catalog's file."""
        return self._native.catalog_path

    @property
    def is_read_only(self) -> bool:
        """Whether changes are refused."""
        return self._native.is_read_only

    @property
    def was_made(self) -> bool:
        """Whether this call made the registry."""
        return self._native.was_made

    @property
    def notice(self) -> Optional[str]:
        """What a reader should know about how the catalog is read, if anything."""
        return self._native.notice

    @property
    def id(self) -> str:
        """The registry's own id."""
        return self._native.id()

    # Recording. The same key gives the same artifact for ever.

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
            iteration: Iteration, where the kind has one.
            dataset: Dataset, or index of inputs and best arrays.
            parameters: Post-processing parameters, or criterion of a best array.
            container: Name of the container, of an ``array`` only.

        Raises:
            Error: A name is refused (``name-…``, a ``ValueError``), or another key has this path.
            ValueError: The kind takes other parts.
        """
        return self._native.record(
            _columns(Key(kind, run, iteration, dataset, parameters, container))
        )

    def record_many(self, keys: Iterable[Key]) -> List[Artifact]:
        """Record many keys in one transaction, all or none.

        Raises:
            Error: As :meth:`record`; then none is recorded.
        """
        return self._native.record_many([_columns(key) for key in keys])

    def record_identifier(self, identifier: object) -> Artifact:
        """Record the array of an identifier, ours or DaCapo's, under the key that its path says.

        Raises:
            Error: It lies outside the base directory, in no container, or a name is refused.
        """
        place = _place(identifier)
        if place is None:
            raise TypeError(f"{identifier!r} is no identifier of an array")
        return self._native.record_identifier(*place)

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

    # Asking. DaCapo never says that it wrote: so these look on disk first, unless told not to.

    def get(self, target: Target) -> Optional[Artifact]:
        """Give an artifact by its number, identifier or path; ``None`` where it is not recorded."""
        return self._native.get(_target(target))

    def list(self, *, refresh: bool = True, **selection: Unpack[Selection]) -> Listing:
        """List the artifacts of a selection; see :class:`Listing`.

        Args:
            refresh: Look on disk first for what was not seen yet.
            **selection: See :class:`Selection`.
        """
        wanted = self._refreshed(selection, refresh)
        runs = self._native.run_names(wanted["run"])
        return Listing(runs, lambda run: self._native.select({**wanted, "run": [run]}))

    def iterations(
        self, *, refresh: bool = True, **selection: Unpack[Selection]
    ) -> List[Iteration]:
        """Give what each iteration of a selection has, in the order of run and iteration."""
        return build_all(Iteration, self._native.iterations(self._refreshed(selection, refresh)))

    def runs(self, *, refresh: bool = True, **selection: Unpack[Selection]) -> List[Run]:
        """Give what each run of a selection has, in the order of their names."""
        return build_all(Run, self._native.runs(self._refreshed(selection, refresh)))

    def du(
        self,
        by: str = "run",
        *,
        refresh: bool = True,
        measure: bool = True,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> List[DiskUse]:
        """Give what a selection takes on disk, largest first.

        Args:
            by: ``run``, ``kind``, ``iteration``, ``dataset`` or ``owner``.
            refresh: Look on disk first.
            measure: Count first what nobody counted, which walks those arrays.
            progress: See :meth:`scan`.
        """
        wanted = self._refreshed(selection, refresh, measure=measure, progress=progress)
        return build_all(DiskUse, self._native.du(wanted, by))

    def refresh(
        self,
        *,
        all: bool = False,
        measure: bool = False,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> Refreshed:
        """Look for the data of a selection and note what is there: one call after a validation.

        Args:
            all: Also what was there: it may be gone, or written anew.
            measure: Count bytes and files of what nobody counted.
            progress: See :meth:`scan`.
        """
        with told(progress) as tell:
            found = self._native.refresh(arguments.selection(selection), all, measure, tell)
        return build(Refreshed, found)

    def scan(
        self,
        *,
        kind: Union[str, Iterable[str], None] = None,
        measure: bool = False,
        threads: Optional[int] = None,
        progress: Wanted = None,
    ) -> Scanned:
        """Walk the base directory and take in every array that has no row.

        Args:
            kind: Kinds to take in; every one but ``checkpoint`` unless said.
            measure: Count bytes and files, which walks every array.
            threads: Threads; as many as fit the machine unless said.
            progress: ``True`` for a bar of tqdm, ``False`` for none, ``None`` for one where tqdm is
                there and stderr is a terminal, or a callable that takes a :class:`Progress`.
        """
        with told(progress) as tell:
            found = self._native.scan(arguments.texts(kind, "a kind"), measure, threads, tell)
        return build(Scanned, found)

    def verify(
        self,
        *,
        measure: bool = False,
        quick: bool = False,
        read_data: bool = False,
        indices: bool = False,
        repair: bool = False,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> Verified:
        """Compare catalog and disk, both ways, and the trash with both.

        Args:
            measure: Compare the size of every array that was ever counted, not only of sealed ones.
            quick: Compare no size that takes a walk, and leave the history alone.
            read_data: Read what was sealed with a content hash, and compare its contents.
            indices: Let SQLite compare its indices too.
            repair: Mend the catalog where that loses nothing. Data is never touched.
            progress: See :meth:`scan`.
        """
        how = {
            "measure": measure,
            "quick": quick,
            "read_data": read_data,
            "indices": indices,
            "repair": repair,
        }
        with told(progress) as tell:
            found, repaired = self._native.verify(arguments.selection(selection), how, tell)
        mended = None if repaired is None else build(Repaired, repaired)
        return build(Verified, {**found, "repaired": mended})

    # Writing.

    def seal(
        self, targets: Union[Target, Iterable[Target]], *, hash: bool = False, progress: Wanted = None
    ) -> List[Artifact]:
        """Note the writer's word that arrays are whole; count their bytes and files. All or none.

        Args:
            hash: Read all data and note its content hash, for ``verify(read_data=True)``.

        Raises:
            NotRecordedError: One is not recorded.
            NothingWrittenError: One has no data.
        """
        chosen = [self._recorded(target) for target in _targets(targets)]
        with told(progress) as tell:
            return self._native.seal(chosen, hash, tell)

    @contextmanager
    def writing(self, target: Target, *, hash: bool = False) -> Iterator[Path]:
        """Write an array: gives its path, seals it on success, marks it on failure.

        From the beginning on the array counts as not sealed, so a crash leaves no false word. Where
        the body raises, what lies there is noted, unsealed, with a warning in the log, and the error
        goes on. An identifier that is not recorded is recorded.

        Args:
            target: An identifier, an artifact, its number or path.
            hash: As for :meth:`seal`.

        Raises:
            NothingWrittenError: The body wrote nothing.
        """
        artifact = self._native.get(_target(target))
        if artifact is None and _place(target) is not None:
            artifact = self.record_identifier(target)
        if artifact is None:
            artifact = self._recorded(_target(target))
        self._native.unseal([artifact])
        try:
            yield artifact.path
        except BaseException:
            self._native.refresh(_only(artifact), True, True, None)
            logger.warning("writing failed; it is not sealed: %s", artifact.path)
            raise
        self._native.seal([artifact], hash, None)

    # Removing, and back.

    def remove(
        self,
        targets: Union[Target, Iterable[Target], None] = None,
        *,
        reason: Optional[str] = None,
        keep: Keep = None,
        keep_going: bool = False,
        force_pinned: bool = False,
        ignore_best_links: bool = False,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> Removed:
        """Remove arrays: rows and data, in one transaction. At once, whatever their size: unlinking
        comes after.

        Args:
            targets: Artifacts, identifiers, numbers or paths; or nothing, and a selection.
            reason: Why; is remembered.
            keep: How long the data can be restored: ``True`` until the trash is emptied, ``"72h"``,
                ``False`` not at all, ``None`` as ``config.toml`` says, else not at all.
            keep_going: Leave out what cannot be removed, rather than removing nothing.
            force_pinned: Remove also what a pin or a best link binds.
            ignore_best_links: Remove also what a best link of DaCapo binds.

        Raises:
            NotRecordedError: A target is not recorded.
            PinnedError, BestLinkedError: Something binds one.
            Error: One cannot be removed; then everything is as before.
            TypeError: Neither targets nor a selection: nothing removes everything by accident.
        """
        if (targets is None) == (not selection):
            raise TypeError("name what is to be removed, either by targets or by a selection")
        how = {
            "reason": reason,
            "keep": arguments.keep(keep),
            "keep_going": keep_going,
            "force_pinned": force_pinned,
            "ignore_best_links": ignore_best_links,
        }
        chosen = None if targets is None else _targets(targets)
        wanted = arguments.selection(selection) if targets is None else None
        with told(progress) as tell:
            return build(Removed, self._native.remove(chosen, wanted, how, tell))

    def remove_outputs_but_best(
        self,
        run: Text,
        iteration: Union[int, str],
        best: Union[Text, Iterable[Text], None] = None,
        *,
        metric: Optional[str] = None,
        dataset: Union[Text, Iterable[Text], None] = None,
        reason: Optional[str] = None,
        keep: Keep = None,
        refresh: bool = True,
    ) -> Removed:
        """Remove the outputs of an iteration but the best ones, dataset by dataset.

        The best are named, or found by the scores of a metric. Nothing is guessed: an output without
        a score stays, and so does everything of a dataset where none of the best is present.

        Args:
            run: Name of the run.
            iteration: The iteration that was validated.
            best: Parameters that stay, or identifiers or artifacts of outputs that stay.
            metric: Such as ``voi:min`` or ``f1:max``; ``max`` unless said. Ties all stay.
            dataset: Only of these datasets.
            reason: Why; is remembered. Says what was best unless given.
            keep: As for :meth:`remove`.

        Raises:
            LookupError: No output would be known as the best; nothing is removed.
            PinnedError, BestLinkedError: Something binds an output; nothing is removed.
        """
        if (best is None) == (metric is None):
            raise TypeError("the best outputs are named by best, or found by metric")
        asked: Selection = {
            "run": arguments.text(run, numbers=False),
            "iteration": arguments.iteration(iteration),
            "kind": "output",
        }
        if dataset is not None:
            asked["dataset"] = dataset
        outputs = [row for row in self.list(refresh=refresh, **asked) if row.state == "present"]
        if metric is not None:
            # Of every dataset: a score without one is of all of them.
            scores = self.scores(run=asked["run"], iteration=asked["iteration"])
            stays = _best_by(outputs, scores, metric)
            words = f"the best by {metric}"
        else:
            stays = _named(outputs, best)
            words = "those that were named the best"
        going = []
        for name in {row.dataset for row in outputs}:
            of_dataset = [row for row in outputs if row.dataset == name]
            if any(row in stays for row in of_dataset):
                going += [row for row in of_dataset if row not in stays]
        if not stays:
            raise LookupError(f"none of {len(outputs)} outputs is known as the best; all stay")
        why = reason or f"all outputs of iteration {asked['iteration']} but {words}"
        return self.remove(going, reason=why, keep=keep)

    def restore(
        self,
        removal: Union[str, Removed, Removal, None] = None,
        *,
        path: Optional[Target] = None,
        **selection: Unpack[Selection],
    ) -> Restored:
        """Bring rows and data back from the trash, identical.

        Args:
            removal: Everything that a removal took: its id, or what ``remove`` gave.
            path: What was last removed from this path, or from the place of an identifier.
            **selection: Everything in the trash that this selects; the last of each place.

        Raises:
            NotInTrashError, NotRestorableError, NoRemovalError: There is nothing to restore.
            OccupiedError: Something stands in its place.
        """
        given = [removal is not None, path is not None, bool(selection)]
        if sum(given) != 1:
            raise TypeError("name what is to be restored: a removal, a path or a selection")
        name = removal.id if isinstance(removal, Removal) else None
        if isinstance(removal, Removed):
            name = removal.removal
            if name is None:
                raise ValueError("that removal took nothing")
        elif isinstance(removal, str):
            name = removal
        place = None if path is None else _path(path)
        wanted = arguments.selection(selection) if selection else None
        return build(Restored, self._native.restore(name, place, wanted))

    def trash(self) -> List[Removal]:
        """Give the removals whose data is in the trash, oldest first."""
        return build_all(Removal, self._native.trash())

    def removal(self, id: str) -> Optional[Removal]:
        """Give a removal, whatever has become of it."""
        found = self._native.removal(id)
        return None if found is None else build(Removal, found)

    def empty_trash(
        self, older_than: Optional[Age] = None, *, progress: Wanted = None
    ) -> EmptiedTrash:
        """Unlink what is in the trash, or of it what was removed longer ago; this is for good."""
        length = None if older_than is None else arguments.seconds(older_than)
        with told(progress) as tell:
            return build(EmptiedTrash, self._native.empty_trash(length, tell))

    # Pins and scores.

    def pin(
        self,
        name: str,
        targets: Union[Target, Iterable[Target], None] = None,
        *,
        reason: Optional[str] = None,
        **selection: Unpack[Selection],
    ) -> PinChange:
        """Make a pin, or let it bind more. What a pin binds is removed by nothing.

        A selection of runs and iterations and nothing else binds also what is recorded there later.

        Args:
            reason: Why; a new pin needs one.

        Raises:
            PinWithoutReasonError, PinTakenError, PinBindsNothingError, PinNameError
        """
        if (targets is None) == (not selection):
            raise TypeError("name what is to be pinned, either by targets or by a selection")
        wanted, chosen = self._bound(targets, selection)
        return build(PinChange, self._native.pin(name, reason, wanted, chosen))

    def unpin(
        self,
        name: str,
        targets: Union[Target, Iterable[Target], None] = None,
        **selection: Unpack[Selection],
    ) -> PinChange:
        """Take a pin away, or let it bind less.

        Raises:
            NoPinError: There is no such pin.
        """
        wanted, chosen = self._bound(targets, selection)
        return build(PinChange, self._native.unpin(name, wanted, chosen))

    def pins(self) -> List[Pin]:
        """Give every pin, by name."""
        return build_all(Pin, self._native.pins())

    def score(
        self,
        run: Text,
        iteration: Union[int, str],
        values: Mapping[str, float],
        *,
        dataset: Optional[Text] = None,
        parameters: Optional[Text] = None,
    ) -> bool:
        """Note what was measured: of an iteration, or of one dataset or parameter set of it.

        Args:
            values: Metrics and their values, such as ``{"voi": 0.4}``.

        Returns:
            Whether anything is recorded at this run and iteration: where not, look for a slip.
        """
        name, number = arguments.text(run, numbers=False), arguments.iteration(iteration)
        what = (arguments.optional(dataset), arguments.optional(parameters))
        known = self._native.score(
            [(name, number, *what, metric, float(value)) for metric, value in values.items()]
        )
        return all(known)

    def score_many(self, scores: Iterable[Score]) -> List[bool]:
        """Note many scores in one transaction, all or none; says of each what :meth:`score` does."""
        return self._native.score([_score(score) for score in scores])

    def unscore(self, scores: Union[Score, Iterable[Score]]) -> int:
        """Take scores away, whatever their values; gives the number of those that were there."""
        chosen = [scores] if isinstance(scores, Score) else scores
        return self._native.unscore([_score(score) for score in chosen])

    def scores(
        self,
        metric: Union[str, Iterable[str], None] = None,
        *,
        run: Union[Text, Iterable[Text], None] = None,
        iteration: Optional[Iterations] = None,
        dataset: Union[Text, Iterable[Text], None] = None,
        parameters: Union[Text, Iterable[Text], None] = None,
    ) -> List[Score]:
        """Give scores, in the order run, iteration, dataset, parameters, metric."""
        asked = {"run": run, "iteration": iteration, "dataset": dataset, "parameters": parameters}
        wanted = arguments.selection(asked)
        found = self._native.scores(wanted, arguments.texts(metric, "a metric"))
        return [Score(*values) for values in found]

    # Garbage collection.

    def plan_gc(
        self,
        *,
        policy: Optional[str] = None,
        whole_runs: bool = False,
        older_than: Optional[Age] = None,
        keep_last: Optional[int] = None,
        keep_first: Optional[int] = None,
        keep_every: Optional[int] = None,
        keep_iterations: Iterable[int] = (),
        keep_within: Optional[Age] = None,
        keep_best: Optional[int] = None,
        metric: Optional[str] = None,
        best_with: Iterable[str] = (),
        max_size: Union[int, str, None] = None,
        max_files: Optional[int] = None,
        min_free: Union[int, str, None] = None,
        allow_empty_group: bool = False,
        ignore_best_links: bool = False,
        refresh: bool = True,
        progress: Wanted = None,
        run: Union[Text, Iterable[Text], None] = None,
        kind: Union[str, Iterable[str], None] = None,
        iteration: Optional[Iterations] = None,
        dataset: Union[Text, Iterable[Text], None] = None,
        parameters: Union[Text, Iterable[Text], None] = None,
        owner: Union[int, Iterable[int], None] = None,
    ) -> Plan:
        """Plan what may go, with a reason for every artifact. Removes nothing.

        ``older_than``, ``run``, ``kind``, ``iteration``, ``dataset``, ``parameters`` and ``owner`` say
        what may go at all; what any ``keep_…`` keeps stays; with a limit, only as much of the rest goes
        as the limit needs, the oldest first. Rules compare the iterations of one run, kind and dataset.

        Args:
            policy: By a policy of ``.dalsegno/config.toml``; brings its own rules.
            whole_runs: Whole runs, by their newest artifacts.
            keep_best: How many of the best by ``metric``, such as ``voi:min``.
            best_with: Kinds that stay with the best outputs: ``prediction``, ``checkpoint``.
            max_size: Let at most this much stay; bytes, or as in ``"500GB"``.
            min_free: Make this much space on the file system.
            allow_empty_group: Let a plan take all that a run has of a kind and dataset.
            refresh: Look on disk first, and count what nobody counted.

        Raises:
            PolicyEmptyError and its like: A rule is missing or decides nothing.
            PlanEmptiesGroupError: Nothing would be left of a group.
        """
        asked = {"run": run, "kind": kind, "iteration": iteration, "dataset": dataset}
        asked.update(parameters=parameters, owner=owner)
        given: Dict[str, Any] = {
            "keep_last": keep_last,
            "keep_first": keep_first,
            "keep_every": keep_every,
            "keep_iterations": [int(number) for number in keep_iterations],
            "keep_within": None if keep_within is None else arguments.seconds(keep_within),
            "keep_best": keep_best,
            "metric": metric,
            "best_with": arguments.texts(best_with, "a kind"),
            "max_size": arguments.size(max_size),
            "max_files": max_files,
            "min_free": arguments.size(min_free),
            "older_than": None if older_than is None else arguments.seconds(older_than),
        }
        _check_rules(policy, whole_runs, given, iteration, allow_empty_group)
        said = {name: value for name, value in {**given, **asked}.items() if value not in (None, [])}
        words = [] if policy is None else [f"policy {policy}"]
        words += ["whole runs"] if whole_runs else []
        words += [f"{name.replace('_', '-')} {value}" for name, value in said.items()]
        rules = {
            **given,
            "policy": policy,
            "runs": whole_runs,
            "allow_empty_group": allow_empty_group,
            "ignore_best_links": ignore_best_links,
            "words": ", ".join(words),
        }
        wanted = arguments.selection(asked)
        with told(progress) as tell:
            return Plan(_native._plan_gc(self._native, rules, wanted, refresh, tell))

    def apply(
        self,
        plan: Union[Plan, str],
        *,
        reason: Optional[str] = None,
        keep: Keep = None,
        progress: Wanted = None,
    ) -> GcReport:
        """Carry a plan out. What was pinned, written or recorded anew since is skipped and told.

        Args:
            plan: A plan, or the text of one.
            reason: Why; is remembered. Without, the plan and its rules are.
            keep: As for :meth:`remove`.

        Raises:
            PlanOutdatedError, PlanElsewhereError: The plan does not fit any more.
        """
        text = plan.to_json() if isinstance(plan, Plan) else plan
        with told(progress) as tell:
            done = _native._apply(self._native, text, reason, arguments.keep(keep), tell)
        return build(GcReport, done)

    @property
    def policies(self) -> Tuple[str, ...]:
        """Names of the policies of ``.dalsegno/config.toml``."""
        return tuple(self._native.policies())

    # History.

    def history(
        self,
        *,
        action: Union[str, Iterable[str], None] = None,
        user: Union[str, Iterable[str], None] = None,
        since: Union[Age, datetime, None] = None,
        until: Union[Age, datetime, None] = None,
        run: Union[Text, Iterable[Text], None] = None,
        path: Optional[Target] = None,
        limit: Optional[int] = None,
    ) -> List[Operation]:
        """Give what was done, the newest first.

        Args:
            action: Such as ``remove``; the words of the command line.
            since, until: A moment, or how long ago.
            run: What was done to these runs.
            path: What was done to what is or was at this path.
            limit: At most this many.
        """
        which: Dict[str, Any] = {
            "action": arguments.texts(action, "an action"),
            "user": arguments.texts(user, "a user"),
            "since": None if since is None else arguments.moment(since),
            "until": None if until is None else arguments.moment(until),
            "run": arguments.texts(run, "a run"),
            "path": None if path is None else _path(path),
            "limit": limit,
        }
        return build_all(Operation, self._native.history(which))

    def operation(self, id: int) -> Tuple[Operation, Tuple[Image, ...]]:
        """Give an operation, and each artifact as it was before and after.

        Raises:
            NoOperationError: There is none with this number.
        """
        operation, images = self._native.operation(id)
        return build(Operation, operation), tuple(Image(side, row) for side, row in images)

    def check_history(self, noted: Optional[str] = None) -> Chain:
        """Check the chain of hashes from the first operation on; look up a hash noted before."""
        return build(Chain, self._native.check_history(noted))

    def undo(self, operation: Union[int, Operation]) -> Undone:
        """Undo an operation: a removal that is kept, a pin, a score.

        Raises:
            NotUndoableError, UndoneAlreadyError, UndoTooLateError, ChangedSinceOperationError
        """
        number = operation.id if isinstance(operation, Operation) else operation
        return build(Undone, self._native.undo(number))

    def _refreshed(
        self,
        selection: Mapping[str, Any],
        refresh: bool,
        *,
        measure: bool = False,
        progress: Wanted = False,
    ) -> Dict[str, Any]:
        """The selection, after a look at what it may mean."""
        wanted = arguments.selection(selection)
        if refresh and not self.is_read_only:
            # What the look itself may change does not say where to look.
            about = {**wanted, "state": [], "older_than": None, "min_bytes": None, "owner": []}
            with told(progress) as tell:
                self._native.refresh(about, False, measure, tell)
        return wanted

    def _recorded(self, target: Union[Artifact, int, str, Any]) -> Artifact:
        found = self._native.get(_target(target))
        if found is None:
            from .errors import NotRecordedError

            raise NotRecordedError(
                f"{target} is not recorded", hint="record it, or take it in with: dalsegno scan"
            )
        return found

    def _bound(
        self, targets: Any, selection: Mapping[str, Any]
    ) -> Tuple[Optional[Dict[str, Any]], Optional[List[Artifact]]]:
        if targets is not None:
            return None, [self._recorded(target) for target in _targets(targets)]
        return (arguments.selection(selection) if selection else None), None


def rebuild(
    base: Text,
    *,
    catalog: Optional[Text] = None,
    force: bool = False,
    lock_timeout: Age = 60.0,
    progress: Wanted = None,
) -> Rebuilt:
    """Make the catalog of a base directory anew, where it is damaged or gone: from the newest sound
    backup, the trash and the disk. The old one is set aside, never deleted. Close every registry of
    this base directory first.

    Args:
        force: Also where nothing is wrong with it.
        progress: As for :meth:`Registry.scan`.

    Raises:
        CatalogSoundError: Nothing is wrong with it.
        NoRegistryError: There is none.
    """
    path = os.path.expanduser(arguments.text(base, what="a base directory", numbers=False))
    beside = None if catalog is None else arguments.text(catalog, what="a catalog")
    with told(progress) as tell:
        done = _native._rebuild(path, beside, force, arguments.seconds(lock_timeout), tell)
    return build(Rebuilt, done)


def _open_again(
    kind: Type[Registry],
    base: str,
    read_only: bool,
    catalog: Optional[str],
    single_host: bool,
    timeout: float,
) -> Registry:
    return kind(
        base,
        read_only=read_only,
        catalog=catalog,
        single_host=single_host,
        lock_timeout=timeout,
    )


def _identifier(artifact: Artifact) -> LocalArrayIdentifier:
    identifier = artifact.identifier
    assert identifier is not None, "a key of an array has an identifier"
    return identifier


def _only(artifact: Artifact) -> Dict[str, Any]:
    """A selection of one key, or of little more."""
    asked: Dict[str, Any] = {"run": artifact.run, "kind": artifact.kind}
    for name in ("iteration", "dataset", "parameters"):
        value = getattr(artifact, name)
        if value is not None:
            asked[name] = value
    return arguments.selection(asked)


def _score(score: Score) -> Tuple[str, str, Optional[str], Optional[str], str, float]:
    number = arguments.iteration(score.iteration)
    return score.run, number, score.dataset, score.parameters, score.metric, score.value


def _named(outputs: List[Artifact], best: Any) -> List[Artifact]:
    """The outputs that are named: by their parameters, or one by one."""
    given = list(best) if isinstance(best, arguments.Many) else [best]
    paths = {os.fspath(one) for one in given if isinstance(one, (Artifact, LocalArrayIdentifier))}
    paths |= {os.path.join(*place) for place in map(_place, given) if place is not None}
    names = {
        arguments.text(one, what="parameters")
        for one in given
        if not isinstance(one, Artifact) and _place(one) is None
    }
    return [row for row in outputs if os.fspath(row) in paths or row.parameters in names]


def _best_by(outputs: List[Artifact], scores: List[Score], metric: str) -> List[Artifact]:
    """The best outputs of each dataset, and those that nobody measured."""
    name, _, goal = metric.rpartition(":") if ":" in metric else (metric, "", "max")
    if goal not in ("min", "max") or not name:
        raise ValueError(f"{metric!r} is no metric; write NAME:min or NAME:max, such as voi:min")
    sign = 1.0 if goal == "max" else -1.0
    stays: List[Artifact] = []
    for dataset in {row.dataset for row in outputs}:
        ranked: List[Tuple[float, Artifact]] = []
        for row in (row for row in outputs if row.dataset == dataset):
            value = _value(row, scores, name)
            if value is None or value != value:
                stays.append(row)
            else:
                ranked.append((sign * value, row))
        if ranked:
            top = max(value for value, _ in ranked)
            stays += [row for value, row in ranked if value == top]
    if not any(score.metric == name for score in scores):
        raise LookupError(f"nothing is scored by {name} there; all outputs stay")
    return stays


def _value(row: Artifact, scores: List[Score], metric: str) -> Optional[float]:
    """The score of an output: of its own dataset and parameters, else of one of them."""
    fitting = [
        score
        for score in scores
        if score.metric == metric
        and score.parameters == row.parameters
        and score.dataset in (row.dataset, None)
    ]
    fitting.sort(key=lambda score: score.dataset is None)
    return fitting[0].value if fitting else None


def _check_rules(
    policy: Optional[str],
    whole_runs: bool,
    given: Mapping[str, Any],
    iteration: Optional[Iterations],
    allow_empty_group: bool,
) -> None:
    """Refuse rules that would not be looked at."""
    said = [name for name, value in given.items() if value not in (None, [])]
    said += ["iteration"] if iteration is not None else []
    if policy is not None:
        said += ["whole_runs"] if whole_runs else []
        said += ["allow_empty_group"] if allow_empty_group else []
        if said:
            raise ValueError(f"a policy brings its own rules; leave out {', '.join(said)}")
    if whole_runs:
        fitting = {"older_than", "keep_last", "keep_within", "max_size", "max_files", "min_free"}
        others = [name for name in said if name not in fitting]
        if others:
            raise ValueError(f"about iterations, not about whole runs: {', '.join(others)}")
