"""The package's public names: imported on first use, the same list everywhere, no PyTorch before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import isolux
import isolux.fit


def test_every_name_is_found():
    for name in isolux.__all__:
        assert getattr(isolux, name) is not None


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(isolux.__file__).read_text())
    seen = {
        f"{node.module}.{alias.name}"
        for block in tree.body
        if isinstance(block, ast.If)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {f"isolux.{module}.{name}" for name, module in isolux._HOME.items()}


def test_a_function_is_not_hidden_by_its_module():
    assert callable(isolux.fit)
    assert callable(isolux.measure)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(isolux, "sersic_fit")


def test_the_command_line_starts_without_torch():
    code = "import sys, isolux.cli; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
