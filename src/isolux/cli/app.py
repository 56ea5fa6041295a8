"""All commands of ``isolux``; their order here is that of ``isolux --help``."""

from __future__ import annotations

import os

from isolux.cli import stamp_commands as stamp_commands  # isort: skip
from isolux.cli import image_commands as image_commands  # isort: skip
from isolux.cli import profile_commands as profile_commands  # isort: skip
from isolux.cli import run_commands as run_commands  # isort: skip
from isolux.cli import train_commands as train_commands  # isort: skip
from isolux.cli.base import app


def main() -> None:
    """Run the command line."""
    # Threads that spin while they wait for each other make fits many times slower where other programs run too.
    # OpenMP reads this when PyTorch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
