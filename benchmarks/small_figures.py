"""Figures of the documentation as small PNG files: few dots an inch, 256 colours."""

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

FOLDER = Path(__file__).parents[1] / "docs" / "figures"


def save_small(figure: Figure, name: str, dpi: int = 110) -> Path:
    """Write a figure to docs/figures/<name>.png."""
    stream = io.BytesIO()
    figure.savefig(stream, dpi=dpi, format="png")
    path = FOLDER / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(stream).convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return path
