"""The directive `{status}`: a table of when each chapter's outputs were made, how long it took, and on what.

It reads notebooks/executed.json of the sources that are built: the stored one, or the reader's own after `make book`.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from tables import table

HEADINGS = ("Chapter", "Executed (UTC)", "Took", "Setting", "On", "With")


class Status(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        file = Path(self.env.srcdir) / "notebooks" / "executed.json"
        self.env.note_dependency(str(file))
        records = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        records = {name: record for name, record in records.items() if f"notebooks/{name}" in self.env.found_docs}
        if not records:
            return [nodes.paragraph(text="No notebook has been executed yet: run make notebooks.")]
        rows = []
        for name, record in records.items():
            when = record["finished"][:16].replace("T", " ")
            setting = f"`{record['profile']}`" if record["profile"] else "the notebook's own"
            chapter, took = f"{{doc}}`/notebooks/{name}`", f"{record['seconds']} s"
            rows.append((chapter, when, took, setting, record["device"], record["versions"]))
        return [table(self, HEADINGS, rows, source=str(file), name="status")]


def setup(app):
    app.add_directive("status", Status)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
