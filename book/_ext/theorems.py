"""Every theorem beside the test that holds it: the role `{test}` and the directive `{theorems}`.

In a chapter, {test}`theory/test_gradients.py::test_name` links to that test's source on the page that has the
directive. The directive lists the theorems of all chapters in order, each with what would falsify it and with its
tests' sources. A theorem without a test, or a test that does not exist, is an error of the build.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective, SphinxRole

TEST = re.compile(r"\{test\}`([\w/]+\.py)::(\w+)`")
BLOCK = re.compile(
    r":::\{prf:theorem\} *(?P<title>[^\n]*)\n:label: *(?P<label>\S+)\n(?P<rest>.*?)(?=:::\{prf:theorem\}|\Z)", re.S
)
FALSIFIER = re.compile(r"\*\*Falsified by\*\*\s+(.*?)(?=\n\n|\n# %%|\Z)", re.S)


@dataclass(frozen=True)
class Theorem:
    label: str
    title: str
    tests: tuple[tuple[str, str], ...]  # (file below tests/, function)
    falsifier: str


def theorems_of(source: str) -> list[Theorem]:
    """The theorems of a chapter in percent format, in their order."""
    text = re.sub(r"^# ?(?!%%)", "", source, flags=re.M)
    found = []
    for block in BLOCK.finditer(text):
        falsifier = FALSIFIER.search(block["rest"])
        told = " ".join(falsifier[1].split()) if falsifier else ""
        found.append(Theorem(block["label"], block["title"], tuple(TEST.findall(block["rest"])), told))
    return found


def source_of(file: Path, function: str) -> str:
    """A test's source, with its decorators."""
    text = file.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(text.splitlines()[start - 1 : node.end_lineno])
    raise LookupError(f"{file.name} has no test {function}")


def target_of(file: str, function: str) -> str:
    """The label of a test's source on the page that shows it; `file` is relative to tests/, without .py."""
    return f"{file}-{function}".replace("/", "-").lower()


class TestRole(SphinxRole):
    def run(self):
        file, _, name = self.text.partition(".py::")
        reference = addnodes.pending_xref(
            "", refdomain="std", reftype="ref", reftarget=target_of(file, name),
            refexplicit=True, refdoc=self.env.docname, refwarn=True,
        )  # fmt: skip
        reference += nodes.literal("", name, classes=["test"])
        return [reference], []


class Theorems(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        lines, shown = [], set()
        for chapter in self._chapters():
            self.env.note_dependency(str(chapter))
            for theorem in theorems_of(chapter.read_text(encoding="utf-8")):
                if not theorem.tests or not theorem.falsifier:
                    raise self.error(f"{chapter.name}: {theorem.label} has no test, or nothing that would falsify it")
                lines += [f"## {theorem.title}", ""]
                lines += [f"{{prf:ref}}`{theorem.label}` in {{doc}}`/notebooks/{chapter.stem}`.", ""]
                lines += [f"*Falsified by* {theorem.falsifier}", ""]
                for test in theorem.tests:
                    lines += [f"{{test}}`{'::'.join(test)}`", ""] if test in shown else self._test(*test)
                    shown.add(test)
        container = nodes.container()
        self.state.nested_parse(
            StringList(lines, source="notebooks"), self.content_offset, container, match_titles=True
        )
        return container.children

    def _chapters(self) -> list[Path]:
        """The sources of the book's notebooks, in the order of the table of contents."""
        sources = (Path(self.env.srcdir) / f"{page}.py" for page in self.env.external_site_map)
        return [source for source in sources if source.exists()]

    def _test(self, file: str, function: str) -> list[str]:
        """A test in Markdown, with a target of its own."""
        path = Path(self.env.srcdir) / "tests" / file
        self.env.note_dependency(str(path))
        try:
            source = source_of(path, function)
        except (LookupError, OSError) as error:
            raise self.error(str(error)) from error
        return [
            f"({target_of(file.removesuffix('.py'), function)})=",
            f"In `tests/{file}`:",
            "",
            "```python",
            *source.splitlines(),
            "```",
            "",
        ]


def setup(app):
    app.add_role("test", TestRole())
    app.add_directive("theorems", Theorems)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
