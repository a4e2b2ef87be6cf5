"""Which notebooks are chapters: those in the table of contents. Any other in notebooks/ is the reader's own."""

import re
from pathlib import Path


def chapters(root: Path) -> list[str]:
    """Return the names of the notebooks in `_toc.yml` of a checkout, sorted."""
    contents = (root / "_toc.yml").read_text(encoding="utf-8")
    return sorted(re.findall(r"^\s*- file: notebooks/(\w+)\s*$", contents, re.MULTILINE))
