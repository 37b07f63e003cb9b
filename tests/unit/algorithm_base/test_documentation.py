"""The examples in the documentation run as they stand there."""

import importlib.util
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs/how-to/write-an-algorithm.md"


def test_the_examples_of_the_how_to_run(tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    file = tmp_path / "documented_example.py"
    file.write_text("\n".join(blocks), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("documented_example", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "documented_example", module)
    spec.loader.exec_module(module)
    assert set(vars(module)) >= {"mean", "partial_mean", "finish"}
