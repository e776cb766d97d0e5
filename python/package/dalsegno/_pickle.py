"""Reads pickles of plain data without running anything that they name.

Python's unpickler calls what a pickle names, and takes memory for numbers that it claims. This
reader knows lists, dictionaries with texts as keys, tuples, texts, bytes and numbers, and reads the
scalars of numpy by itself. Every other instruction is refused, and so is a file that needs too much
memory.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any, Dict, List, Tuple

__all__ = ["MOST_BYTES", "PickleRefusedError", "read"]

MOST_BYTES = 64 << 20
"""Longest file that is read."""

_MOST_OBJECTS = 4_000_000
"""Lists, dictionaries and tuples that are made; notes in the pickle's memory."""

_MOST_STEPS = 10_000_000
"""Instructions that are followed: a file of 64 MiB has at most 7.5 million floats."""

_MOST_DIGITS = 16
"""Longest integer, in bytes."""


class PickleRefusedError(ValueError):
    """A pickle is damaged, or does more than hold plain data."""


class _Mark:
    """Where the items of a list, a tuple or a dictionary begin on the stack."""


class _Scalar:
    """numpy's function that makes a scalar."""


class _TypeMaker:
    """numpy's class of types."""


class _Type:
    """A type of numbers, as numpy notes it."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "="


_MARK = _Mark()

# Both names of the module: numpy 2 and numpy 1.
_GLOBALS: Dict[Tuple[str, str], Any] = {
    ("numpy._core.multiarray", "scalar"): _Scalar(),
    ("numpy.core.multiarray", "scalar"): _Scalar(),
    ("numpy", "dtype"): _TypeMaker(),
}

_FORMATS = {
    "f2": "e",
    "f4": "f",
    "f8": "d",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "b1": "?",
}
_ORDERS = {"<": "<", ">": ">", "|": "<", "=": "<" if sys.byteorder == "little" else ">"}


class _Reader:
    """The state of one pickle that is read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: List[Any] = []
        self._memo: Dict[int, Any] = {}
        self._made = 0

    def run(self) -> Any:
        data, steps = self._data, _STEPS
        for _ in range(_MOST_STEPS):
            if self._at >= len(data):
                raise PickleRefusedError("it ends too early")
            code = data[self._at]
            self._at += 1
            if code == 0x2E:  # STOP
                if self._at != len(data):
                    raise PickleRefusedError("something follows after its end")
                found = self._pop()
                if self._stack:
                    raise PickleRefusedError("it leaves more than one value")
                return found
            step = steps.get(code)
            if step is None:
                raise PickleRefusedError(
                    f"the instruction {code:#04x} at byte {self._at - 1} is not plain data"
                )
            step(self)
        raise PickleRefusedError("it has too many values")

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise PickleRefusedError("it ends too early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return value

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise PickleRefusedError("a value is missing")
        return self._stack.pop()

    def _since_mark(self) -> List[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _MARK:
                items = self._stack[at + 1 :]
                del self._stack[at:]
                return items
        raise PickleRefusedError("a mark is missing")

    def _count(self) -> None:
        self._made += 1
        if self._made > _MOST_OBJECTS:
            raise PickleRefusedError("it has too many values")

    def _push_new(self, made: Any) -> None:
        self._count()
        self._stack.append(made)

    def _ignored(self, count: int) -> None:
        self._take(count)

    def _protocol(self) -> None:
        number = self._take(1)[0]
        if number > 5:
            raise PickleRefusedError(f"it has protocol {number}")

    def _text(self, form: str) -> None:
        raw = self._take(self._number(form))
        try:
            self._stack.append(raw.decode("utf-8"))
        except UnicodeDecodeError:
            raise PickleRefusedError("a text is not UTF-8") from None

    def _bytes(self, form: str) -> None:
        self._stack.append(self._take(self._number(form)))

    def _integer(self, form: str) -> None:
        count = self._number(form)
        if not 0 <= count <= _MOST_DIGITS:
            raise PickleRefusedError("an integer is too long")
        self._stack.append(int.from_bytes(self._take(count), "little", signed=True))

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push_new(tuple(reversed(items)))

    def _top(self, kind: type) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise PickleRefusedError(f"a {kind.__name__} is missing")
        return self._stack[-1]

    def _extend(self, items: List[Any]) -> None:
        self._top(list).extend(items)

    def _update(self, items: List[Any]) -> None:
        into = self._top(dict)
        if len(items) % 2:
            raise PickleRefusedError("a value is missing")
        for key, value in zip(items[::2], items[1::2]):
            # Nothing else is hashed or compared: that may run for ever in nested tuples.
            if type(key) is not str:
                raise PickleRefusedError("a key is not a text")
            into[key] = value

    def _put(self, at: int) -> None:
        self._count()
        self._memo[at] = self._pop_kept()

    def _pop_kept(self) -> Any:
        value = self._pop()
        self._stack.append(value)
        return value

    def _get(self, at: int) -> None:
        if at not in self._memo:
            raise PickleRefusedError("it names a value that it has not")
        self._stack.append(self._memo[at])

    def _global(self, module: Any, name: Any) -> None:
        known = None
        if type(module) is str and type(name) is str:
            known = _GLOBALS.get((module, name))
        if known is None:
            raise PickleRefusedError("it names code that is not plain data")
        self._stack.append(known)

    def _line(self) -> str:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise PickleRefusedError("it ends too early")
        line = self._take(end - self._at)
        self._take(1)
        return line.decode("utf-8", "replace")

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, maker = self._pop(), self._pop()
        if type(arguments) is tuple and isinstance(maker, _TypeMaker):
            code = arguments[0] if arguments else None
            if type(code) is str and code in _FORMATS:
                self._push_new(_Type(code))
                return
        if type(arguments) is tuple and isinstance(maker, _Scalar) and len(arguments) == 2:
            self._stack.append(_scalar(*arguments))
            return
        raise PickleRefusedError("it makes a value that is not plain data")

    def _build(self) -> None:
        state, made = self._pop(), self._top(_Type)
        order = state[1] if type(state) is tuple and len(state) > 1 else None
        if type(order) is not str or order not in _ORDERS:
            raise PickleRefusedError("it makes a value that is not plain data")
        made.order = order


def _scalar(kind: Any, raw: Any) -> Any:
    if not isinstance(kind, _Type) or type(raw) is not bytes:
        raise PickleRefusedError("a number is damaged")
    form = _ORDERS[kind.order] + _FORMATS[kind.code]
    if struct.calcsize(form) != len(raw):
        raise PickleRefusedError("a number is damaged")
    return struct.unpack(form, raw)[0]


def _memoize(reader: _Reader) -> None:
    reader._put(len(reader._memo))


_STEPS: Dict[int, Callable[[_Reader], None]] = {
    0x80: _Reader._protocol,
    0x95: lambda it: it._ignored(8),  # FRAME
    0x28: lambda it: it._push_new(_MARK),
    0x5D: lambda it: it._push_new([]),
    0x7D: lambda it: it._push_new({}),
    0x29: lambda it: it._push_new(()),
    0x6C: lambda it: it._push_new(it._since_mark()),  # LIST
    0x74: lambda it: it._push_new(tuple(it._since_mark())),
    0x85: lambda it: it._tuple(1),
    0x86: lambda it: it._tuple(2),
    0x87: lambda it: it._tuple(3),
    0x61: lambda it: it._extend([it._pop()]),
    0x65: lambda it: it._extend(it._since_mark()),
    0x73: lambda it: it._update([it._pop(), it._pop()][::-1]),
    0x75: lambda it: it._update(it._since_mark()),
    0x4E: lambda it: it._stack.append(None),
    0x88: lambda it: it._stack.append(True),
    0x89: lambda it: it._stack.append(False),
    0x4A: lambda it: it._stack.append(it._number("<i")),
    0x4B: lambda it: it._stack.append(it._number("B")),
    0x4D: lambda it: it._stack.append(it._number("<H")),
    0x8A: lambda it: it._integer("B"),
    0x8B: lambda it: it._integer("<i"),
    0x47: lambda it: it._stack.append(it._number(">d")),
    0x58: lambda it: it._text("<I"),
    0x8C: lambda it: it._text("B"),
    0x8D: lambda it: it._text("<Q"),
    0x42: lambda it: it._bytes("<I"),
    0x43: lambda it: it._bytes("B"),
    0x8E: lambda it: it._bytes("<Q"),
    0x71: lambda it: it._put(it._number("B")),
    0x72: lambda it: it._put(it._number("<I")),
    0x94: _memoize,
    0x68: lambda it: it._get(it._number("B")),
    0x6A: lambda it: it._get(it._number("<I")),
    0x63: lambda it: it._global(it._line(), it._line()),
    0x93: _Reader._stack_global,
    0x52: _Reader._reduce,
    0x62: _Reader._build,
}


def read(data: bytes) -> Any:
    """Read a pickle of plain data.

    A list may hold one value many times, or itself: what walks through it must count.

    Raises:
        PickleRefusedError: It is damaged, too large, or does more than hold plain data.
    """
    if len(data) > MOST_BYTES:
        raise PickleRefusedError(f"it is larger than {MOST_BYTES >> 20} MiB")
    return _Reader(data).run()
