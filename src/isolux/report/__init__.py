"""Figures of fits: what a galaxy looks like beside its model, and how one catalogue compares with another."""

from isolux.report.blocks import figure_from_block
from isolux.report.comparison import comparison_figure
from isolux.report.figures import galaxy_figure, save_galaxy_figures
from isolux.report.style import save

__all__ = ["comparison_figure", "figure_from_block", "galaxy_figure", "save", "save_galaxy_figures"]
