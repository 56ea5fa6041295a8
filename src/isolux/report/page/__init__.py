"""A page that shows a run: one HTML file with its summary, its charts and a gallery of its galaxies.

The way of a page: :mod:`find` finds the catalogue and the images, :mod:`gather` looks at the catalogue twice,
:mod:`payload` and :mod:`picture` make what the scripts in ``js/`` draw, :mod:`write` puts it all into one file.
"""

from isolux.report.page.write import Written, write_report

__all__ = ["Written", "write_report"]
