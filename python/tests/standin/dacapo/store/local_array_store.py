"""A store whose arrays nobody removes."""

from typing import Any


class LocalArrayStore:
    def __init__(self, basedir: Any) -> None:
        self.basedir = basedir
