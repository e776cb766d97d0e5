"""DaCapo with a registry: a drop-in for its ``LocalArrayStore``.

    >>> import dalsegno.dacapo
    >>> dalsegno.dacapo.install()

From then on DaCapo's trainings, validations and viewers of this process take their arrays from
:class:`ArrayStore`, which gives the same paths and records each of them.
``install(everywhere=True)`` reaches child processes too. Importing this module takes no DaCapo;
using it does.

For DaCapo's command line: ``python -m dalsegno.dacapo train -r RUN`` runs any command of DaCapo
with the store installed.

The scores of a validation are noted when DaCapo stores them. :func:`import_scores` and ``python -m
dalsegno.dacapo scores`` take in those that DaCapo stored before.

The store never stops a training: a path needs no catalog. What cannot be recorded within a bounded
time is noted in the inbox, ``.dalsegno/inbox``, which the next command that writes folds into the
catalog.

DaCapo never says that it wrote, so ``list`` and ``iterations`` of the registry look on disk first.
Arrays of snapshots it names by itself, below a container: :meth:`dalsegno.Registry.scan` takes them
in.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import runpy
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Optional, Tuple, Type, Union

from . import _arguments as arguments
from . import _attempts, _native, _scores, _stats, _targets
from ._arguments import Age, Text, name, seconds, text
from ._scores import Imported, import_scores
from .errors import (
    CatalogElsewhereError,
    Error,
    LayoutNoContainerError,
    NotAFolderError,
    NotPublishedError,
    NotRecordedError,
    SymlinkError,
)
from .registry import Key, Registry

__all__ = ["ArrayStore", "Imported", "import_scores", "install", "uninstall"]

logger = logging.getLogger(__name__)

SEAM = "dacapo.store.create_store"
"""The module of DaCapo whose ``LocalArrayStore`` everything of DaCapo uses."""

_VARIABLE = "DALSEGNO_DACAPO"
_WAIT = "DALSEGNO_DACAPO_WAIT"
_STRICT = "DALSEGNO_DACAPO_STRICT"
_STARTUP = str(Path(__file__).parent / "_everywhere")

_AT_KEEPER = (CatalogElsewhereError, NotPublishedError)
"""What opening raises on a host without the catalog."""

_real_classes: Dict[Type[Any], Type[Any]] = {}


def _dacapo(module: str) -> ModuleType:
    """Import a module of DaCapo.

    Raises:
        ImportError: DaCapo is not installed, or cannot be imported; says so.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"dalsegno.dacapo is for use with DaCapo, and {module} cannot be imported: {error}; "
            "install DaCapo, or use dalsegno.Registry, which needs none",
            name=error.name,
        ) from error


class ArrayStore:
    """A store of arrays as DaCapo takes it: gives DaCapo's own identifiers, and records them.

    It is an instance of DaCapo's ``ArrayStore``. Several may be alive at once, also while data
    loaders fork; it pickles as its base directory.

    It answers always: a path is a function of its key. The registry is opened, or made, with the
    first identifier. What fails then is one warning in the log for each kind of failure, and a note
    in the inbox for each identifier. Only names that break the rules are refused.

    Args:
        basedir: The base directory, as a text, a ``Path`` or a ``UPath``; ``~`` and relative ones
            are resolved at once. It is made if it does not exist, and so is its registry.
        lock_timeout: How long a removal or a refresh waits while others write; seconds, or as in
            ``"90s"``.
        wait: How long an identifier waits to be recorded, in all; as :func:`install` says, else 5
            s.
        strict: Raise what fails, for tests; as :func:`install` says, else false.

    Raises:
        ImportError: DaCapo is not installed.
        BaseUnusableError: The base directory is a URL.
    """

    def __new__(cls, basedir: Text, *_: Any, **__: Any) -> ArrayStore:
        made: ArrayStore = object.__new__(_real(cls))
        return made

    def __init__(
        self,
        basedir: Text,
        lock_timeout: Age = 60.0,
        *,
        wait: Optional[Age] = None,
        strict: Optional[bool] = None,
    ) -> None:
        path = (
            os.path.expanduser(text(basedir, what="a base directory", numbers=False)) or os.curdir
        )
        self._upath: Any = importlib.import_module("upath").UPath
        self._types = _dacapo("dacapo.store.array_store")
        self._base = str(_native.base_path(path))
        self.basedir = self._upath(self._base)
        """The base directory, absolute, as a ``UPath``."""
        self._lock_timeout = lock_timeout
        self._given = (wait, strict)
        self._wait = _settings.wait if wait is None else seconds(wait, what="wait")
        self._strict = _settings.strict if strict is None else strict
        self._registry: Optional[Registry] = None
        self._inbox: Optional[_native.Inbox] = None
        self._said_kept = False

    @property
    def registry(self) -> Registry:
        """The registry behind the store; it is made if there is none.

        Raises:
            Error: It cannot be opened.
        """
        if self._registry is None:
            os.makedirs(self._base, exist_ok=True)
            # No second one beside a catalog that this process has used.
            create = not _attempts.of(self._base).is_elsewhere
            self._registry = Registry(self._base, create, lock_timeout=self._lock_timeout)
        return self._registry

    def __reduce__(self) -> Tuple[Any, ...]:
        # The class that is public: the one that is a subclass of DaCapo's is made again.
        public = next(kind for kind, real in _real_classes.items() if real is type(self))
        return _again, (public, self._base, self._lock_timeout, *self._given)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.basedir)!r})"

    def _give(self, *keys: Key) -> List[Any]:
        """The identifiers of keys, which are recorded if that works."""
        columns = [_targets.columns(key) for key in keys]
        found = [_native.identifier(self._base, key) for key in columns]
        if self._strict:
            self._record(columns)
        else:
            _attempts.of(self._base).record(columns, self._wait)
        return found

    def _record(self, columns: List[Any]) -> None:
        """Record keys, or raise. Where another host has the catalog, a note is no failure."""
        try:
            self.registry._native.record_many(columns)
        except _AT_KEEPER:
            if self._inbox is None:
                self._inbox = _native.Inbox(self._base)
            now = int(time.time() * 1000)
            for key in columns:
                self._inbox.record(key, now)

    def _array(self, key: Key) -> Any:
        return self._theirs(*self._give(key))

    def _theirs(self, identifier: Any) -> Any:
        container = self._upath(identifier.container)
        return self._types.LocalArrayIdentifier(container, identifier.dataset)

    def _container(self, key: Key) -> Any:
        (identifier,) = self._give(key)
        return self._types.LocalContainerIdentifier(self._upath(identifier.container))

    def validation_prediction_array(
        self, run_name: Text, iteration: Union[int, str], dataset: Text
    ) -> Any:
        """Give the array of a validation's raw prediction; a ``Dataset`` gives its ``str()``."""
        return self._array(Key("prediction", run_name, iteration, _name(dataset, "a dataset")))

    def validation_output_array(
        self, run_name: Text, iteration: Union[int, str], parameters: Text, dataset: Text
    ) -> Any:
        """Give the array of a validation's output; objects give their ``str()``."""
        given = (_name(dataset, "a dataset"), _name(parameters, "parameters"))
        key = Key("output", run_name, iteration, *given)
        found = self._array(key)
        _, run, number, dataset_name, parameters_text, _ = _targets.columns(key)
        assert number is not None and dataset_name is not None and parameters_text is not None
        _stats.remember(self._base, run, number, dataset_name, parameters_text)
        return found

    def validation_input_arrays(
        self, run_name: Text, index: Optional[Text] = None
    ) -> Tuple[Any, Any]:
        """Give the arrays of a validation's raw input and ground truth."""
        raw, gt = self._give(
            Key("input-raw", run_name, dataset=index), Key("input-gt", run_name, dataset=index)
        )
        return self._theirs(raw), self._theirs(gt)

    def best_validation_array(
        self, run_name: Text, criterion: Text, index: Optional[Text] = None
    ) -> Any:
        """Give the array of the best output by a criterion."""
        criterion = _name(criterion, "a criterion")
        return self._array(Key("best", run_name, dataset=index, parameters=criterion))

    def snapshot_container(self, run_name: Text) -> Any:
        """Give the container of a run's snapshots."""
        return self._container(Key("snapshot-container", run_name))

    def validation_container(self, run_name: Text) -> Any:
        """Give the container of a run's validations."""
        return self._container(Key("validation-container", run_name))

    def _elsewhere(self) -> Optional[Error]:
        """Why this host removes nothing, if another one has the catalog."""
        try:
            keeper = self.registry._native.keeper
        except _AT_KEEPER as error:
            return error
        if keeper is None:
            return None
        return CatalogElsewhereError(
            f"the catalog of {self._base} is on host {keeper}", path=self.registry.catalog_path
        )

    def refresh(self, run_name: Optional[Text] = None) -> None:
        """Note what was written: one call after a validation. Arrays that are written again count
        as rewritten. Does nothing on a host without the catalog: the one that has it looks on disk
        before it answers."""
        if self._elsewhere() is not None:
            return
        try:
            if run_name is None:
                self.registry.refresh(all=True)
            else:
                # A run of which nothing is recorded yet is no mistake of a training.
                self.registry._look(arguments.selection({"run": run_name}), True)
        except CatalogElsewhereError:
            # Another host became the keeper while the registry was open.
            self._registry = None

    def remove(self, array_identifier: Any) -> None:
        """Remove an array: row and data.

        As in DaCapo, what is not there is a warning in the log, and so is what is not a folder. The
        folders above the array stay, even if they are empty, as in DaCapo. Unlike
        DaCapo, refuses a folder that is not an array, is outside the base directory or is reached
        through a symbolic link; nothing is deleted then.

        On a host without the catalog nothing is removed, because row and data go together: that is
        one warning in the log, and the training goes on. The array stays on disk and in the
        catalog until it is removed on the host that has the catalog.

        Raises:
            CatalogElsewhereError: Another host has the catalog, with ``strict``.
            TypeError: The identifier's dataset is not a text.
            Error: It is refused; see :meth:`dalsegno.Registry.remove`.
        """
        container, dataset = array_identifier.container, array_identifier.dataset
        if not isinstance(dataset, str):
            raise TypeError(f"a dataset is a text, not {dataset!r}")
        asked = f"Asked to remove dataset {dataset} in container {container}"
        path = Path.cwd() / os.fspath(container) / dataset
        if Path(os.fspath(container)).suffix not in (".zarr", ".n5", ".zarr3", ".zr3"):
            raise LayoutNoContainerError(f"{container} is not a container of arrays", path=path)
        elsewhere = self._elsewhere()
        if elsewhere is not None:
            if self._strict:
                raise elsewhere
            self._keep(asked, path, elsewhere)
            return
        try:
            removed = self.registry.remove(array_identifier, keep_parents=True)
        except CatalogElsewhereError as error:
            # Another host became the keeper while the registry was open.
            if self._strict:
                raise
            self._registry = None
            self._keep(asked, path, error)
            return
        except NotRecordedError:
            if not path.exists():
                logger.warning("%s, but it doesn't exist.", asked)
                return
            if not path.is_dir():
                logger.warning("%s, but it is not a directory. Will not delete.", asked)
                return
            if not _is_array(path):
                raise
            base = self.registry.base
            if Path(os.path.realpath(path)) != base.resolve() / path.relative_to(base):
                raise SymlinkError(f"{path} is or lies below a symbolic link", path=path) from None
            self.registry.record_identifier(array_identifier)
            removed = self.registry.remove(array_identifier, keep_parents=True)
        except NotAFolderError:
            logger.warning("%s, but it is not a directory. Will not delete.", asked)
            return
        if removed.moved == 0:
            logger.warning("%s, but it doesn't exist.", asked)

    def _keep(self, asked: str, path: Path, why: Error) -> None:
        """Say once that this host removes nothing."""
        if not os.path.lexists(path):
            logger.warning("%s, but it doesn't exist.", asked)
        elif not self._said_kept:
            self._said_kept = True
            logger.warning(
                "%s, but %s: this host removes nothing, and the arrays stay until they are removed "
                "there",
                asked,
                why,
            )


def _name(value: Text, what: str) -> str:
    return name(value, what=what)


def _again(
    kind: Type[ArrayStore],
    base: str,
    lock_timeout: Age,
    wait: Optional[Age],
    strict: Optional[bool],
) -> ArrayStore:
    return kind(base, lock_timeout, wait=wait, strict=strict)


def _is_array(path: Path) -> bool:
    """Whether a folder holds array metadata: zarr v2, zarr v3 or N5."""
    if (path / ".zarray").is_file():
        return True
    for file, key, value in (("zarr.json", "node_type", "array"), ("attributes.json", "", None)):
        try:
            metadata = json.loads((path / file).read_text())
        except (OSError, ValueError):
            continue
        if isinstance(metadata, dict):
            return metadata.get(key) == value if key else "dimensions" in metadata
    return False


def _real(cls: Type[ArrayStore]) -> Type[Any]:
    """The class of the objects: a subclass of ours and of DaCapo's."""
    if cls in _real_classes.values():
        return cls
    real = _real_classes.get(cls)
    theirs = _dacapo("dacapo.store.array_store").ArrayStore
    if real is None or not issubclass(real, theirs):
        name, module = cls.__name__, cls.__module__
        real = type(theirs)(name, (cls, theirs), {"__module__": module, "__doc__": cls.__doc__})
        _real_classes[cls] = real
    return real


class _Settings:
    """Defaults of stores, from the environment or :func:`install`."""

    def __init__(self) -> None:
        self.wait = _attempts.WAIT
        self.strict = os.environ.get(_STRICT, "") not in ("", "0")
        given = os.environ.get(_WAIT)
        if given:
            try:
                self.wait = seconds(float(given) if given.replace(".", "", 1).isdigit() else given)
            except (ValueError, Error) as error:
                logger.warning("%s is left out: %s", _WAIT, error)


_settings = _Settings()


def install(
    *, everywhere: bool = False, wait: Optional[Age] = None, strict: Optional[bool] = None
) -> None:
    """Let DaCapo use :class:`ArrayStore` in this process; twice is as once.

    Args:
        everywhere: In child processes too, however they are started with this environment: the
            variables ``PYTHONPATH`` and ``DALSEGNO_DACAPO`` pass this on.
        wait: How long an identifier waits to be recorded, opening included; seconds, or as in
            ``"5s"``. 5 seconds unless ``DALSEGNO_DACAPO_WAIT`` says otherwise.
        strict: Raise what fails rather than go on, for tests. False unless
            ``DALSEGNO_DACAPO_STRICT`` is set.

    Raises:
        ImportError: DaCapo is not installed.
    """
    if wait is not None:
        _settings.wait = seconds(wait, what="wait")
    if strict is not None:
        _settings.strict = strict
    plug(_dacapo(SEAM))
    if everywhere:
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        others = [path for path in paths if path and path != _STARTUP]
        os.environ["PYTHONPATH"] = os.pathsep.join([_STARTUP, *others])
        os.environ[_VARIABLE] = "1"
        os.environ[_WAIT] = f"{_settings.wait:.9f}"
        if _settings.strict:
            os.environ[_STRICT] = "1"
        else:
            os.environ.pop(_STRICT, None)


def plug(seam: ModuleType) -> None:
    """Put the store into the seam; remembers what was there."""
    if not hasattr(seam, "_dalsegno_replaced"):
        seam._dalsegno_replaced = seam.LocalArrayStore  # type: ignore[attr-defined]
    seam.LocalArrayStore = ArrayStore  # type: ignore[attr-defined]
    _stats.plug(seam, _settings)


def uninstall() -> None:
    """Give DaCapo its own store back, here and in child processes started from now on.

    Raises:
        ImportError: DaCapo is not installed.
    """
    seam = _dacapo(SEAM)
    if hasattr(seam, "_dalsegno_replaced"):
        seam.LocalArrayStore = seam._dalsegno_replaced  # type: ignore[attr-defined]
        del seam._dalsegno_replaced
    _stats.unplug(seam)
    for variable in (_VARIABLE, _WAIT, _STRICT):
        os.environ.pop(variable, None)
    _settings.__init__()  # type: ignore[misc]
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in paths if path and path != _STARTUP]
    if others:
        os.environ["PYTHONPATH"] = os.pathsep.join(others)
    else:
        os.environ.pop("PYTHONPATH", None)


def main() -> None:
    """Run a command of DaCapo's command line, with the store installed here and in child processes;
    or ``scores``, which takes in the scores that DaCapo stored. Without DaCapo, or if it has no
    command line, ends with a message and exit code 1.
    """
    if sys.argv[1:2] == ["scores"]:
        sys.exit(_scores.main(sys.argv[2:]))
    try:
        install(everywhere=True)
    except ImportError as error:
        # Only these words: a user types this in a shell, and needs no stack of this program.
        sys.exit(
            f"error: DaCapo, whose commands this runs, cannot be imported: {error.__cause__}\n"
            f"  next: install DaCapo for {sys.executable}, for example with: "
            f"{sys.executable} -m pip install dacapo-ml"
        )
    scripts = importlib.metadata.entry_points(group="console_scripts", name="dacapo")
    sys.argv[0] = "dacapo"
    for script in scripts:
        sys.exit(script.load()())
    if importlib.util.find_spec("dacapo.__main__") is None:
        sys.exit(
            "error: the DaCapo that is installed has neither a script dacapo nor a module "
            "dacapo.__main__\n  next: install a version of DaCapo with a command line"
        )
    runpy.run_module("dacapo", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # This module under its own name: under this one DaCapo's processes do not know it.
    importlib.import_module("dalsegno.dacapo").main()
