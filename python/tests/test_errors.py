"""Errors cross the border whole: message, code, path, hint, and a class for each code."""

from __future__ import annotations

import builtins
import pickle
from pathlib import Path

import dalsegno
import pytest
from dalsegno import _native, errors


def test_every_code_of_the_library_has_a_class_and_every_class_a_code() -> None:
    classes = {known.code: known for known in errors.Error.__subclasses__() if known.__name__ != "Error"}
    assert sorted(classes) == sorted(_native.error_codes())
    for code, known in classes.items():
        words = "".join(word.capitalize() for word in code.split("-"))
        assert known.__name__ == f"{words}Error"
        assert getattr(errors, known.__name__) is known
        assert known.__doc__


@pytest.mark.parametrize("code", _native.error_codes())
def test_an_error_pickles_whole(code: str) -> None:
    error = errors._make(code, "what happened", Path("/a/b"), "do this")
    again = pickle.loads(pickle.dumps(error))
    for one in (error, again):
        assert type(one) is type(error)
        assert str(one) == "what happened"
        assert (one.code, one.path, one.hint) == (code, Path("/a/b"), "do this")


def test_a_code_that_has_no_class_is_an_error_all_the_same() -> None:
    error = errors._make("from-the-future", "new", None, None)
    assert isinstance(error, dalsegno.Error)
    assert error.code == "from-the-future"
    assert pickle.loads(pickle.dumps(error)).code == "from-the-future"


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("NoRegistryError", FileNotFoundError),
        ("BaseNotFoundError", FileNotFoundError),
        ("NameDotDotError", ValueError),
        ("PolicyEmptyError", ValueError),
        ("ReadOnlyError", PermissionError),
        ("PinnedError", PermissionError),
        ("LockTimeoutError", TimeoutError),
        ("NotRecordedError", LookupError),
        ("InterruptedError", builtins.InterruptedError),
    ],
)
def test_errors_have_the_bases_that_python_has_for_them(name: str, base: type) -> None:
    known = getattr(errors, name)
    assert issubclass(known, base)
    assert issubclass(known, dalsegno.Error)


def test_an_error_of_the_library_says_what_where_and_what_next(tmp_path: Path) -> None:
    with pytest.raises(errors.NoRegistryError) as caught:
        dalsegno.Registry(tmp_path)
    error = caught.value
    assert str(error) == f"{tmp_path} has no registry"
    assert error.path == tmp_path
    assert error.hint is not None and "dalsegno" in error.hint


def test_a_missing_base_directory_is_no_file_that_was_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dalsegno.Registry(tmp_path / "none", create=True)
    assert list(tmp_path.iterdir()) == []


def test_the_cause_stands_in_the_message(registry: dalsegno.Registry) -> None:
    (registry.base / "file").write_text("")
    with pytest.raises(NotADirectoryError) as caught:
        dalsegno.Registry(registry.base / "file")
    assert isinstance(caught.value, dalsegno.Error)
