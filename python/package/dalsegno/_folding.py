"""Short forms of long names in a column, such that what differs between them stays: the rules of
the tables of the command line."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Optional

__all__ = ["cut", "shortened"]

LONGEST = 12
"""Characters of a common beginning that stay readable."""


def shortened(column: Sequence[str], width: int) -> list[str]:
    """Give the names of a column, each in at most so many characters.

    What names that begin with the same word have in common is folded: ``Watershed…(id=3…)``. What
    is too long then is cut, where the most of them stay different.
    """
    shown = list(column)
    families: defaultdict[str, list[int]] = defaultdict(list)
    for at, cell in enumerate(column):
        families["".join(takewhile(str.isalnum, cell))].append(at)
    taken: set[str] = set()
    for _, family in sorted(families.items()):
        cells = [column[at] for at in family]
        if any(len(cell) > width for cell in cells):
            cells = _cut_family(_fold_family(cells, taken), width, taken)
            for at, cell in zip(family, cells):
                shown[at] = cell
        taken.update(cells)
    return shown


def cut(text: str, width: int, loses: str = "middle") -> str:
    """Give a text of at most so many characters, without its ``start``, ``middle`` or ``end``."""
    if len(text) <= width:
        return text
    # Iterations and parameters are at the end of a path, which gets the odd one.
    room = width - 1
    head = {"start": 0, "middle": room // 2, "end": room}[loses]
    return _merged(f"{text[:head]}…{text[len(text) - room + head :]}")


@dataclass(frozen=True)
class _Common:
    """What different texts have in common."""

    prefix: str
    suffix: str

    @classmethod
    def of(cls, cells: Collection[str]) -> Optional[_Common]:
        """``None`` if nothing differs."""
        distinct = sorted(set(cells))
        if len(distinct) < 2:
            return None
        start = _whole_words(distinct, len(os.path.commonprefix(distinct)))
        backwards = [cell[::-1] for cell in distinct]
        # The end must not reach into the beginning, even of the shortest.
        end = min(len(os.path.commonprefix(backwards)), min(map(len, distinct)) - start)
        end = _whole_words(backwards, end)
        first = distinct[0]
        return cls(first[:start], first[len(first) - end :])

    def differs(self, cell: str) -> str:
        """The part of a text that the others have not."""
        return cell[len(self.prefix) : len(cell) - len(self.suffix)]

    def fold(self, cell: str) -> str:
        return f"{_fold_prefix(self.prefix)}{self.differs(cell)}{_fold_suffix(self.suffix)}"

    def bare(self, cell: str) -> str:
        """What differs alone, and signs for what is common."""
        before, after = ("…" if part else "" for part in (self.prefix, self.suffix))
        return _merged(f"{before}{self.differs(cell)}{after}")


def _fold_family(cells: list[str], taken: Collection[str]) -> list[str]:
    common = _Common.of(cells)
    if common is None:
        return cells
    folded = [common.fold(cell) for cell in cells]
    # Another family may begin with other words and fold to the same.
    return cells if any(cell in taken for cell in folded) else folded


def _cut_family(cells: list[str], width: int, taken: Collection[str]) -> list[str]:
    if all(len(cell) <= width for cell in cells):
        return cells
    common = _Common.of(cells)
    texts = [cells] if common is None else [cells, [common.bare(cell) for cell in cells]]

    ways = [
        ([cut(text, width, loses) for text in some], some is not cells)
        for some in texts
        for loses in ("middle", "end", "start")
    ]

    def worth(way: tuple[list[str], bool]) -> tuple[int, bool, bool]:
        short, is_bare = way
        distinct = set(short)
        is_whole = common is None or all(
            common.differs(cell) in one for cell, one in zip(cells, short)
        )
        # Where what differs must be cut too, as much of it as can be stays.
        return len(distinct) - len(distinct.intersection(taken)), is_whole, is_whole != is_bare

    return max(ways, key=worth)[0]


def _of_word(character: str) -> bool:
    """Whether it is of a name or a number, which is not folded in part."""
    return character.isalnum() or character in "._-+"


def _whole_words(texts: Sequence[str], length: int) -> int:
    """The length of a common beginning without the word that differs."""
    while length > 0 and any(
        _of_word(text[length - 1]) and (length == len(text) or _of_word(text[length]))
        for text in texts
    ):
        length -= 1
    return length


def _fold_prefix(prefix: str) -> str:
    """The first word of a common beginning, and what directly precedes the part that differs."""
    head, humps = "", 0
    for character in prefix[:LONGEST]:
        # The first word of a name such as `WatershedParameters`.
        humps += character.isupper()
        if not character.isalnum() or humps > 1:
            break
        head += character
    # From the last mark but those at the very end: `(id=` or `/crop1/`.
    inner = len(prefix)
    while inner > 0 and not _of_word(prefix[inner - 1]):
        inner -= 1
    mark = max(prefix.rfind(mark, 0, inner) for mark in "(,;:/[{ ")
    tail = prefix[mark if mark >= 0 else inner :]
    if len(tail) > LONGEST:
        tail = prefix[inner:]
    return _shorter(prefix, f"{head}…{tail.lstrip()}")


def _fold_suffix(suffix: str) -> str:
    """The bracket that closes a common end; the ones before it close what was left out."""
    closing = suffix[-1:] if suffix.endswith((")", "]", "}")) else ""
    return _shorter(suffix, f"…{closing}")


def _shorter(text: str, folded: str) -> str:
    return folded if len(folded) < len(text) else text


def _merged(text: str) -> str:
    """Signs for what was left out that follow each other are one."""
    while "……" in text:
        text = text.replace("……", "…")
    return text
