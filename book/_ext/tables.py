"""Tables that the directives of this folder make: Markdown cells in, a table that scrolls in itself out."""

from collections.abc import Iterable, Sequence

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


def table(
    directive: SphinxDirective, headings: Sequence[str], rows: Iterable[Sequence[str]], *, source: str, name: str
) -> nodes.Node:
    """source: the file that the rows came from, for messages; name: the table's class, for book.css."""
    lines = [" | ".join(cells) for cells in (headings, ["---"] * len(headings), *rows)]
    container = nodes.container(classes=["wide-table", name])
    content = StringList([f"| {line} |" for line in lines], source=source)
    directive.state.nested_parse(content, directive.content_offset, container)
    return container
