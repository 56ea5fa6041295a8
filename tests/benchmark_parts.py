"""The modules of benchmarks/ for tests, under their own names for as long as they are wanted."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@contextmanager
def benchmark_parts(*names: str) -> Iterator[SimpleNamespace]:
    """Modules such as ``exact.truth``, by the last part of their name."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield SimpleNamespace(**{name.rpartition(".")[2]: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(BENCHMARKS)):
                del sys.modules[name]
