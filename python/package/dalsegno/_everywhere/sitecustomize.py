"""Read by every Python process whose environment dalsegno.dacapo.install(everywhere=True) prepared.

Waits for DaCapo to be imported, and costs nothing if it never is. A process whose environment has
DaCapo and no dalsegno, or another one, goes on with DaCapo's own store. Then whatever other
``sitecustomize`` there is has its turn.
"""

import _thread
import importlib.machinery
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any, Optional, Set

SEAM = "dacapo.store.create_store"
HERE = os.path.dirname(os.path.abspath(__file__))


def plug(module: ModuleType) -> None:
    """Put the store into the seam, if DaCapo has one."""
    try:
        import dalsegno.dacapo

        dalsegno.dacapo.plug(module)
    # A panic of the native half is raised as a BaseException.
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        import logging

        logging.getLogger("dalsegno.dacapo").warning(
            "arrays are not recorded in this process, because dalsegno cannot be used in it: %s",
            error,
        )


class Finder:
    """Finds the seam as others would, and plugs the store in when it has been executed."""

    asking: Set[int] = set()
    """Threads that ask the other finders."""

    @classmethod
    def find_spec(
        cls, name: str, path: Any = None, target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        thread = _thread.get_ident()
        if name != SEAM or thread in cls.asking:
            return None
        cls.asking.add(thread)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            cls.asking.discard(thread)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                # Not before: a program may ask for the spec and import the module later.
                if cls in sys.meta_path:
                    sys.meta_path.remove(cls)
                plug(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if os.environ.get("DALSEGNO_DACAPO") == "1":
    sys.meta_path.insert(0, Finder)

_others = [path for path in sys.path if os.path.abspath(path or os.curdir) != HERE]
_other = importlib.machinery.PathFinder.find_spec("sitecustomize", _others)
if _other is not None and _other.loader is not None:
    _other.loader.exec_module(importlib.util.module_from_spec(_other))
