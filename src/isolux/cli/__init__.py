"""The command line: arguments into the dataclasses that Python and the run file fill, and results onto the screen.

What a command needs is imported when it runs, so that ``isolux --help`` does not wait for PyTorch.
"""

from isolux.cli.app import app, main

__all__ = ["app", "main"]
