"""A store whose arrays are not removed."""

from typing import Any


class LocalArrayStore:
    def __init__(self, basedir: Any) -> None:
        self.basedir = basedir
