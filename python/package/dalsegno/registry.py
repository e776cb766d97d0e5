"""The registry of a base directory."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, Tuple, Type

from . import _arguments as arguments
from . import _native
from ._arguments import Age, Text
from ._collecting import Collecting, Plan
from ._hints import reworded
from ._progress import Wanted, reporting
from ._remembering import Remembering
from ._removing import Removing
from ._targets import Key, Target
from ._writing import Writing
from .errors import CatalogElsewhereError, Error
from .values import Published, Rebuilt, build, moment

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Key", "Plan", "Registry", "Target", "rebuild"]

logger = logging.getLogger("dalsegno")


class Registry(Writing, Removing, Collecting, Remembering):
    """One base directory and its catalog.

    Several threads can share one; several registries and processes can use one base directory at
    once. Long calls let other threads run, and answer Ctrl-C at the next boundary. A removal that
    is interrupted before all data has moved puts everything back; after that it is done, and a
    later removal unlinks the rest. Around a fork the catalog is closed and opened again on both
    sides. A registry pickles as its base directory, so it can be passed to spawned processes.

    On a host without the catalog it answers from the copy that the host with the catalog published,
    and notes what is recorded, sealed and scored. While there is no copy, or a damaged one, it
    notes all the same, and what asks raises; ``hint`` says what to type.

    Args:
        base: The base directory, which holds the runs. It must exist.
        create: Make the registry if there is none, in a folder ``.dalsegno``.
        read_only: Refuse every change. Works on a read-only mount.
        catalog: Keep the catalog in this file, on a local disk, rather than in the base directory.
        single_host: With ``create``, a catalog on a network file system, written on this host only.
        shared: With ``create``, the group of the base directory may write the registry.
        keeper: This host has the catalog from now on: it was renamed, or the catalog was copied to
            it, to ``catalog`` if that is given. As ``dalsegno init --keeper``.
        lock_timeout: How long a change waits while others write; seconds, or as in ``"90s"``.

    Raises:
        NoRegistryError: The base directory has no registry, and ``create`` is not given.
        BaseNotFoundError: The base directory does not exist.
        Error: The registry cannot be opened; the message and ``hint`` say what to do.
    """

    _says_copy = True
    """Whether opening logs that answers are from a published copy."""

    def __init__(
        self,
        base: Text,
        create: bool = False,
        *,
        read_only: bool = False,
        catalog: Optional[Text] = None,
        single_host: bool = False,
        shared: bool = False,
        keeper: bool = False,
        lock_timeout: Age = 60.0,
    ) -> None:
        if keeper and read_only:
            raise ValueError(
                "keeper=True writes down which host has the catalog; leave read_only out"
            )
        given = arguments.text(base, what="a base directory", numbers=False)
        path = os.path.expanduser(given) if given else os.curdir
        self._may_note = not read_only
        self._given = (read_only, single_host, arguments.seconds(lock_timeout))
        self._catalog = None if catalog is None else arguments.text(catalog, what="a catalog")
        self._native = _native.Registry(
            path, create, read_only, self._catalog, single_host, shared, keeper, self._given[2]
        )
        for problem in self._native.recovery[2]:
            logger.warning("%s", problem)
        if self._says_copy:
            self._say_copy()

    def _say_copy(self) -> None:
        try:
            published = self.published
        except CatalogElsewhereError as error:
            # Without its place not even the published copy is read.
            logger.warning(
                "what is recorded, sealed and scored is noted, and nothing else is answered (%s): "
                "%s; next: %s",
                error.code,
                error,
                error.hint,
            )
            return
        except Error as error:
            logger.warning(
                "what is recorded, sealed and scored is noted, and nothing else is answered (%s): "
                "%s; publish a copy on host %s with: dalsegno publish",
                error.code,
                error,
                self._native.keeper,
            )
            return
        if published is not None:
            at = published.at
            made = ", made at an unknown time"
            if at is not None:
                made = f" of {at.isoformat(timespec='seconds')}"
            logger.warning(
                "the catalog is on host %s; answers are from its published copy%s",
                published.host,
                made,
            )

    def __reduce__(self) -> Tuple[Any, ...]:
        read_only, single_host, timeout = self._given
        catalog = None if self._catalog is None else str(self.catalog_path)
        return _open_again, (type(self), str(self.base), read_only, catalog, single_host, timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.base)!r}{', closed' if self.closed else ''})"

    def __enter__(self) -> Self:
        if self.closed:
            raise ValueError("this registry is closed")
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
    def published(self) -> Optional[Published]:
        """The published copy that answers are from, on a host without the catalog; else
        ``None``.

        Raises:
            NotPublishedError: The host that has the catalog has published no copy yet.
            Error: The copy cannot be read.
        """
        found = self._native.published()
        return None if found is None else build(Published, found)

    def publish(self) -> Optional[datetime]:
        """Publish a copy of a catalog elsewhere for hosts that do not have it. A registry does this
        by itself when it is closed, and after a scan, a restore, ``gc`` and the like, if it has
        changed something; while it stays open with any change, at most once a minute.

        Returns:
            When the copy was made; ``None`` if another process is making one just now.

        Raises:
            CatalogInBaseError: The catalog is in the base directory, where every host can read it.
            CatalogElsewhereError: The catalog is on another host.
        """
        return moment(self._native.publish())

    @property
    def id(self) -> str:
        """The registry's own id."""
        return self._native.id()


def rebuild(
    base: Text,
    *,
    catalog: Optional[Text] = None,
    force: bool = False,
    lock_timeout: Age = 60.0,
    progress: Wanted = None,
) -> Rebuilt:
    """Make a new catalog of a base directory, if the old one is damaged or gone, from the newest
    sound backup or published copy, the trash and the disk, and from what can be read of the damaged
    one. The old one is renamed, never deleted; a
    published copy with operations that the new catalog lacks is kept under another name. Close
    every registry of this base directory first.

    Args:
        force: Rebuild even if the catalog is sound.
        progress: As for :meth:`Registry.scan`.

    Raises:
        CatalogSoundError: The catalog is sound.
        NoRegistryError: The base directory has no registry.
    """
    path = os.path.expanduser(arguments.text(base, what="a base directory", numbers=False))
    beside = None if catalog is None else arguments.text(catalog, what="a catalog")
    with reporting(progress) as report:
        done = _native._rebuild(path, beside, force, arguments.seconds(lock_timeout), report)
    reworded(done["scan"]["notices"])
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
