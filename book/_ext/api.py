"""For the API page: the library on sys.path, and the directive `{experiment-keys}`, a table of every key."""

import sys
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


class ExperimentKeys(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        from jointens import Experiment

        lines = ["| Key | Meaning | Default | Identity |", "|---|---|---|---|"]
        for key in Experiment.described():
            known = f"; allowed: {', '.join(f'`{value}`' for value in key.known)}" if key.known else ""
            part = "yes" if key.identity else "no"
            lines.append(f"| `{key.name}` | {key.meaning}{known} | `{key.default}` | {part} |")
        container = nodes.container(classes=["wide-table"])
        self.state.nested_parse(StringList(lines, source="experiment.py"), self.content_offset, container)
        return [container]


def setup(app):
    app.add_directive("experiment-keys", ExperimentKeys)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
