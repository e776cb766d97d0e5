"""The guide of the README runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import dalsegno
import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_guide_runs_as_it_is_written(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    section = README.read_text().split("### Use it from Python")[1].split("\n### ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) >= 5
    code = "\n".join(blocks)
    assert code.count("/data/runs") == 2
    # The comment of the first line names the base directory, too.
    exec(compile(code.replace("/data/runs", str(base)), str(README), "exec"), {})
    said = capsys.readouterr().out
    assert "pinned" in said and said.rstrip().endswith("True")
    with dalsegno.Registry(base) as registry:
        left = [(row.iteration, row.parameters) for row in registry.list()]
    assert left == [(1000, "0.3"), (1000, "0.5"), (2000, "0.3"), (2000, "0.5"), (3000, "0.3")]
