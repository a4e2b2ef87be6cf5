"""For the API page: the library on sys.path, and the directive `{experiment-keys}`, a table of every key."""

import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from tables import table

HEADINGS = ("Key", "Meaning", "Default", "Identity")

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


class ExperimentKeys(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        from jointens import Experiment

        rows = []
        for key in Experiment.described():
            known = f"; allowed: {', '.join(f'`{value}`' for value in key.known)}" if key.known else ""
            rows.append((f"`{key.name}`", key.meaning + known, f"`{key.default}`", "yes" if key.identity else "no"))
        return [table(self, HEADINGS, rows, source="jointens/experiment/keys.py", name="keys")]


def setup(app):
    app.add_directive("experiment-keys", ExperimentKeys)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
