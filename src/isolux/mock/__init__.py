"""Mock fields with truth: galaxies and stars on a piece of sky, as a survey sees them. See docs/mock-fields.md."""

from isolux.mock.mock_field import MockField, field
from isolux.mock.options import FieldOptions
from isolux.mock.presets import SURVEYS
from isolux.mock.psfs import Moffat, Telescope
from isolux.mock.surveys import Band, Survey

__all__ = ["SURVEYS", "Band", "FieldOptions", "MockField", "Moffat", "Survey", "Telescope", "field"]
