"""What a run's config file of DaCapo says, without a reader of YAML.

DaCapo writes the files with PyYAML in block style. Whatever looks otherwise is not understood, and
then the file tells nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import List, Tuple

__all__ = ["channels", "validation_datasets"]

_TEXT = r"('?)([A-Za-z0-9_][A-Za-z0-9_ ./+-]*)\1\s*"


def channels(lines: Sequence[str]) -> Tuple[str, ...]:
    """The channels of the run's task, in order; none if they cannot be read without doubt."""
    found = []
    for line in _block(lines, "task_config", "channels"):
        item = re.fullmatch("  - " + _TEXT, line)
        if item is None:
            return ()
        found.append(item.group(2))
    return tuple(found)


def validation_datasets(lines: Sequence[str]) -> Tuple[str, ...]:
    """The names of the run's validation datasets, in order; none if one is in doubt."""
    found: List[List[str]] = []
    for line in _block(lines, "datasplit_config", "validate_configs"):
        if line.startswith("  - "):
            found.append([])
            line = "    " + line[4:]
            # An alias or an anchor: its content is elsewhere.
            if re.match(r"    [A-Za-z_]+:", line) is None:
                return ()
        if line.startswith("    name:"):
            name = re.fullmatch("    name: " + _TEXT, line)
            if name is None or not found:
                return ()
            found[-1].append(name.group(2))
    names = tuple(names[0] for names in found if len(names) == 1)
    return names if len(names) == len(found) == len(set(names)) else ()


def _block(lines: Sequence[str], top: str, key: str) -> Iterator[str]:
    """The lines of the list below a key of a section at the top."""
    in_section = in_list = False
    for line in lines:
        if not line.startswith((" ", "-")):
            in_section, in_list = line.rstrip() == f"{top}:", False
        elif in_section and line.rstrip() == f"  {key}:":
            in_list = True
        elif in_list:
            if not line.startswith(("  -", "   ")):
                in_list = False
            else:
                yield line
