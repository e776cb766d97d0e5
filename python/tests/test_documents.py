"""The Python blocks of the documents run as they are written, and print what the documents show.

Each page is run by itself, from its first block to its last, in a fresh folder that is
``/data/runs`` there. A block ``text`` shows what the Python block above it prints.
``tests/documents`` runs everything else, and refuses blocks of other languages.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "src").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(found[1], found[2]) for found in BLOCK.finditer(page.read_text())]


PYTHON_PAGES = [page for page in PAGES if "python" in dict(blocks(page))]


def test_the_documents_have_python() -> None:
    names = {page.name for page in PYTHON_PAGES}
    assert {"README.md", "python.md", "dacapo.md"} <= names


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_prints_what_it_shows(page: Path, base: Path, dacapo: None) -> None:
    names: dict[str, object] = {}
    printed = ""
    for language, text in blocks(page):
        if language == "python":
            assert printed == "", f"nothing shows that this was printed: {printed}"
            output = io.StringIO()
            code = compile(text.replace("/data/runs", str(base)), str(page), "exec")
            with contextlib.redirect_stdout(output):
                exec(code, names)
            printed = output.getvalue().replace(str(base), "/data/runs")
        elif language == "text":
            assert printed == text
            printed = ""
    assert printed == "", f"nothing shows that this was printed: {printed}"
    if "dalsegno.dacapo" in sys.modules:
        sys.modules["dalsegno.dacapo"].uninstall()
