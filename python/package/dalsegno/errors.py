"""The errors: a class for each code of the library, all of them subclasses of :class:`Error`.

An error says what happened (``str(error)``), by which stable code (``error.code``), where
(``error.path``) and what to do next (``error.hint``, also a note of the traceback). The name of a
class follows its code: ``no-registry`` is :class:`NoRegistryError`. If one of Python's own
exceptions fits, such as ``FileNotFoundError``, the class is a subclass of that too.
"""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Optional

from . import _hints
from ._error import Error as Error
from ._error import make


def _of_library(
    code: str,
    message: str,
    path: Optional[Path],
    hint: Optional[str],
    host: Optional[str] = None,
) -> Error:
    """Make the error that the library reports; ``hint`` is the name of a hint, ``host`` one that
    it names.
    """
    words = None if hint is None else _hints.filled(hint, path, host)
    return make(code, _hints.in_python(message), path, words)


class NothingSelectedWarning(UserWarning):
    """A selection matches nothing that is recorded, or a name in it does: says which, and the
    nearest name. Not of a question with ``state``, as in ``list(state="missing")``, in which all
    names are known: that nothing is missing is a good answer."""


class NameEmptyError(Error, ValueError):
    """A name is empty."""

    code = "name-empty"


class NameAbsoluteError(Error, ValueError):
    """A name begins with a slash."""

    code = "name-absolute"


class NameDotError(Error, ValueError):
    """A name has a component .."""

    code = "name-dot"


class NameDotDotError(Error, ValueError):
    """A name has a component ..."""

    code = "name-dot-dot"


class NameNulError(Error, ValueError):
    """A name holds a NUL character."""

    code = "name-nul"


class NameControlError(Error, ValueError):
    """A name holds a control character."""

    code = "name-control"


class NameNotUnicodeError(Error, ValueError):
    """A path is not UTF-8."""

    code = "name-not-unicode"


class NameComponentTooLongError(Error, ValueError):
    """A component of a name has more than 255 bytes."""

    code = "name-component-too-long"


class NameReservedError(Error, ValueError):
    """A name lies in the registry's own folder."""

    code = "name-reserved"


class NameNotAContainerError(Error, ValueError):
    """A container's name has a ``/``: it is a path, not the name of a folder."""

    code = "name-not-a-container"


class NameIterationError(Error, ValueError):
    """An iteration is not an integer."""

    code = "name-iteration"


class LayoutNoContainerError(Error, ValueError):
    """A path is not in the folder of a run, or that of a container is not one of a container."""

    code = "layout-no-container"


class LayoutNoRunError(Error, ValueError):
    """A container lies outside any run."""

    code = "layout-no-run"


class NoRegistryError(Error, FileNotFoundError):
    """The base directory has no registry."""

    code = "no-registry"


class CatalogMissingError(Error, FileNotFoundError):
    """The catalog is gone."""

    code = "catalog-missing"


class CatalogNotAFileError(Error, OSError):
    """The path of the catalog is not a regular file."""

    code = "catalog-not-a-file"


class RegistryNotAFolderError(Error, NotADirectoryError):
    """The path of the registry's folder is not a folder."""

    code = "registry-not-a-folder"


class CatalogDamagedError(Error):
    """The catalog is damaged."""

    code = "catalog-damaged"


class CatalogForeignError(Error):
    """The file is a database of another program."""

    code = "catalog-foreign"


class CatalogTooNewError(Error):
    """A newer version wrote the catalog."""

    code = "catalog-too-new"


class CatalogMismatchError(Error):
    """The catalog describes another base directory."""

    code = "catalog-mismatch"


class CatalogOtherPathError(Error):
    """The base directory keeps its catalog at another path."""

    code = "catalog-other-path"


class CatalogElsewhereError(Error, PermissionError):
    """The catalog is on another host."""

    code = "catalog-elsewhere"


class CatalogNotHereError(Error, FileNotFoundError):
    """The catalog is outside the base directory, and not on this host."""

    code = "catalog-not-here"


class CatalogNotCopiedError(Error, FileNotFoundError):
    """This host was to become the one that has the catalog, and the catalog is not at the path."""

    code = "catalog-not-copied"


class CatalogOutdatedError(Error, OSError):
    """The catalog lacks changes of the published copy: another host changed it since."""

    code = "catalog-outdated"


class NotTheOwnerError(Error, PermissionError):
    """Only root and the owner of `.dalsegno` may say where the catalog is."""

    code = "not-the-owner"


class CatalogUnboundError(Error, PermissionError):
    """The catalog is outside the base directory and not known to belong to it."""

    code = "catalog-unbound"


class ClockBeforeEpochError(Error, OSError):
    """The clock of the machine is set to a time before 1970."""

    code = "clock-before-epoch"


class ClockTooFarError(Error, OSError):
    """The clock of the machine is set to a time after the year 9999."""

    code = "clock-too-far"


class NotPublishedError(Error, FileNotFoundError):
    """The catalog is on another host, which has published no copy yet."""

    code = "not-published"


class CatalogInBaseError(Error, ValueError):
    """The catalog is in the base directory, so no copy of it is published."""

    code = "catalog-in-base"


class CatalogTakenError(Error, FileExistsError):
    """The catalog has artifacts of another base directory."""

    code = "catalog-taken"


class CatalogOnNetworkError(Error, RuntimeError):
    """The catalog would lie on a network file system."""

    code = "catalog-on-network"


class CatalogOtherHostError(Error, PermissionError):
    """The catalog may be written on another host only."""

    code = "catalog-other-host"


class LockTimeoutError(Error, TimeoutError):
    """Another process held the catalog for too long."""

    code = "lock-timeout"


class InterruptedError(Error, builtins.InterruptedError):
    """A call was given up while it worked with the catalog."""

    code = "interrupted"


class CatalogReplacedError(Error):
    """The catalog was replaced since it was opened."""

    code = "catalog-replaced"


class CatalogSoundError(Error):
    """Nothing is wrong with the catalog."""

    code = "catalog-sound"


class ReadOnlyError(Error, PermissionError):
    """The registry cannot be written."""

    code = "read-only"


class ForkedError(Error, RuntimeError):
    """The registry was at work when this process was forked off."""

    code = "forked"


class CatalogFullError(Error, OSError):
    """No space is left for the catalog."""

    code = "catalog-full"


class PathTakenError(Error, FileExistsError):
    """Another artifact has this path."""

    code = "path-taken"


class CatalogRowDamagedError(Error):
    """A row of the catalog is damaged."""

    code = "catalog-row-damaged"


class ConfigInvalidError(Error, ValueError):
    """config.toml cannot be used."""

    code = "config-invalid"


class NoBackupError(Error, RuntimeError):
    """The backup before a change could not be made."""

    code = "no-backup"


class CatalogMigrationError(Error, RuntimeError):
    """The catalog could not be migrated to this version."""

    code = "catalog-migration"


class PinNameError(Error, ValueError):
    """A text cannot name a pin."""

    code = "pin-name"


class NoPinError(Error, LookupError):
    """There is no such pin."""

    code = "no-pin"


class PinTakenError(Error):
    """A pin of this name is there for another reason."""

    code = "pin-taken"


class PinWithoutReasonError(Error, ValueError):
    """A new pin has no reason."""

    code = "pin-without-reason"


class PinBindsNothingError(Error, ValueError):
    """Nothing is selected that the pin could bind."""

    code = "pin-binds-nothing"


class NoOperationError(Error, LookupError):
    """There is no such operation."""

    code = "no-operation"


class NotUndoableError(Error, RuntimeError):
    """Operations of this kind are never undone."""

    code = "not-undoable"


class NothingToUndoError(Error, RuntimeError):
    """No removal, pin, score or rename of the history is left to undo."""

    code = "nothing-to-undo"


class UndoneAlreadyError(Error, RuntimeError):
    """Nothing of the operation is left to undo."""

    code = "undone-already"


class UndoTooLateError(Error, RuntimeError):
    """What the operation removed is gone for good."""

    code = "undo-too-late"


class ChangedSinceOperationError(Error, RuntimeError):
    """What the operation changed was changed again."""

    code = "changed-since-operation"


class CatalogSqlError(Error):
    """SQLite reported a failure."""

    code = "catalog-sql"


class CatalogIoError(Error, OSError):
    """A file beside the catalog could not be used."""

    code = "catalog-io"


class BaseNotFoundError(Error, FileNotFoundError):
    """The base directory does not exist."""

    code = "base-not-found"


class BaseNotAFolderError(Error, NotADirectoryError):
    """The base directory is not a folder."""

    code = "base-not-a-folder"


class BaseNotReadableError(Error, PermissionError):
    """The base directory may not be read."""

    code = "base-not-readable"


class BaseUnusableError(Error, ValueError):
    """The base directory is a URL, or its name is not UTF-8."""

    code = "base-unusable"


class SymlinkError(Error, OSError):
    """What is to be removed is or lies below a symbolic link."""

    code = "symlink"


class NotAFolderError(Error, NotADirectoryError):
    """What is to be removed is not a folder."""

    code = "not-a-folder"


class NotAFileError(Error, OSError):
    """What is to be removed is not a regular file."""

    code = "not-a-file"


class OtherDeviceError(Error, OSError):
    """What is to be removed lies on another file system."""

    code = "other-device"


class PathOutsideError(Error, ValueError):
    """A path of the catalog leads out of the base directory."""

    code = "path-outside"


class ChangedMeanwhileError(Error, OSError):
    """Another process changed it meanwhile."""

    code = "changed-meanwhile"


class TrashUntrustedError(Error, PermissionError):
    """Another user may have put this into the trash, and may not do by himself what it asks for."""

    code = "trash-untrusted"


class NotMovableError(Error, builtins.PermissionError):
    """This user may not move the data; the message says whose it is."""

    code = "not-movable"


class DamagedMetadataError(Error):
    """An array's metadata makes no sense."""

    code = "damaged-metadata"


class BestLinkError(Error):
    """A best link does not say which iteration is the best."""

    code = "best-link"


class WalkInterruptedError(Error, builtins.InterruptedError):
    """A call was given up while it looked at data."""

    code = "walk-interrupted"


class NoSpaceError(Error, OSError):
    """No space is left."""

    code = "no-space"


class OverQuotaError(Error, OSError):
    """The quota is used up."""

    code = "over-quota"


class StorageIoError(Error, OSError):
    """The system refused something."""

    code = "storage-io"


class OutsideBaseError(Error, ValueError):
    """A path lies outside the base directory."""

    code = "outside-base"


class NotRecordedError(Error, LookupError):
    """The registry has no such artifact."""

    code = "not-recorded"


class NothingWrittenError(Error, FileNotFoundError):
    """There is no data to seal."""

    code = "nothing-written"


class ChunksMissingError(Error):
    """An array was to be sealed as complete, and chunks of it are missing."""

    code = "chunks-missing"


class LevelsMissingError(Error):
    """A pyramid was to be sealed as complete, and levels that it names are missing."""

    code = "levels-missing"


class ExclusionUnknownError(Error):
    """A removal was to leave out a name that nothing recorded has, so it would take all."""

    code = "exclusion-unknown"


class ChunksUnknownError(Error):
    """The metadata of an array to be sealed as complete does not say which chunks it has."""

    code = "chunks-unknown"


class NestedArtifactError(Error):
    """Another artifact lies in what was to be removed."""

    code = "nested-artifact"


class MountPointError(Error, OSError):
    """A file system is mounted in, or at, what was to be removed or renamed."""

    code = "mount-point"


class InnerRegistryError(Error):
    """Another registry lies in what was to be removed, or around it."""

    code = "inner-registry"


class NoRemovalError(Error, LookupError):
    """There is no such removal."""

    code = "no-removal"


class NotRestorableError(Error, RuntimeError):
    """The removal cannot be restored any more."""

    code = "not-restorable"


class NotInTrashError(Error, LookupError):
    """Nothing of it is in the trash."""

    code = "not-in-trash"


class LostInTrashError(Error, LookupError):
    """It was moved to the trash and is not there any more."""

    code = "lost-in-trash"


class OccupiedError(Error, FileExistsError):
    """The place of what is to be restored is taken."""

    code = "occupied"


class NoFolderError(Error, OSError):
    """There is no folder to keep the trash in."""

    code = "no-folder"


class PinnedError(Error, PermissionError):
    """A pin binds what was to be removed."""

    code = "pinned"


class PinnedElsewhereError(Error, PermissionError):
    """A pin binds the data under the name that its run had before it was renamed by hand."""

    code = "pinned-elsewhere"


class BestLinkedError(Error, PermissionError):
    """A best link of DaCapo binds what was to be removed."""

    code = "best-linked"


class OfAnotherRunError(Error, PermissionError):
    """By its time, the data is that of another run, renamed by hand."""

    code = "of-another-run"


class RenamedByHandError(Error, PermissionError):
    """Its data is, by its time, at another path: a folder was renamed by hand."""

    code = "renamed-by-hand"


class BelowRunError(Error, ValueError):
    """The name of a run was to be given, and it is the path of what is in a run."""

    code = "below-run"


class OfAnotherUserError(Error, PermissionError):
    """A seal of another user's data was to be noted, and the host with the catalog takes none."""

    code = "of-another-user"


class ChangedSincePlanError(Error, RuntimeError):
    """It is not as it was when it was planned."""

    code = "changed-since-plan"


class PolicyEmptyError(Error, ValueError):
    """The policy has no rule."""

    code = "policy-empty"


class PolicyZeroError(Error, ValueError):
    """A number of the policy is 0."""

    code = "policy-zero"


class PolicyUselessRuleError(Error, ValueError):
    """A rule of the policy never decides anything."""

    code = "policy-useless-rule"


class PolicyMetricError(Error, ValueError):
    """A metric cannot be read."""

    code = "policy-metric"


class PlanEmptiesGroupError(Error, ValueError):
    """Nothing would be left of a group."""

    code = "plan-empties-group"


class PlanUnmeasuredError(Error, ValueError):
    """Sizes are unknown that a limit needs."""

    code = "plan-unmeasured"


class PlanFreeUnknownError(Error, ValueError):
    """How much is free is unknown."""

    code = "plan-free-unknown"


class RunTakenError(Error, FileExistsError):
    """The new name of a run is taken."""

    code = "run-taken"


class RunActiveError(Error):
    """A run was written to a short time ago."""

    code = "run-active"


class RunFolderGoneError(Error, FileNotFoundError):
    """The folder of a run is not there."""

    code = "run-folder-gone"


class ScoresInvalidError(Error, ValueError):
    """Scores cannot be read."""

    code = "scores-invalid"


class PlanInvalidError(Error, ValueError):
    """A plan cannot be read."""

    code = "plan-invalid"


class PlanElsewhereError(Error, ValueError):
    """A plan was made for another registry."""

    code = "plan-elsewhere"


class PlanOutdatedError(Error, ValueError):
    """Something was restored since the plan was made."""

    code = "plan-outdated"


class InternalError(Error, RuntimeError):
    """Something that cannot happen did."""

    code = "internal"


class UnreadableError(Error, OSError):
    """Data could not be read in full."""

    code = "unreadable"


class CatalogBehindError(Error):
    """An older version wrote the catalog, and it is open for reading only."""

    code = "catalog-behind"


class CatalogFolderMissingError(Error, FileNotFoundError):
    """The folder of the catalog is gone."""

    code = "catalog-folder-missing"


class NotABackupError(Error, ValueError):
    """The file that a rebuild was to start from is not a backup."""

    code = "not-a-backup"
