"""To be deleted with the test of scales in tests/experiment/test_config.py; that is in tests/reports/test_style.py."""

from .style import AUTHORS, SCALES

__all__ = ["AUTHORS", "SCALES"]
