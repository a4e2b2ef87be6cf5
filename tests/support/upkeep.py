"""The upkeep script of results/ as a module."""

import sys

from checkout import ROOT

sys.path.insert(0, str(ROOT / "results"))
import publish

__all__ = ["publish"]
