"""Check what papermill hands to a notebook: parameters of any name, with no more than a warning."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from ..common import check_names

INJECTED = "# Parameters\n"  # the first line of the cell that papermill writes


def check_parameters(namespace: Mapping[str, Any], known: Iterable[str] = ()) -> None:
    """Check that the notebook has every parameter that papermill hands over: `check_parameters(globals())`.

    papermill writes them into a cell of its own, right behind the cell with the notebook's parameters. Without
    papermill there is no such cell, and nothing is checked.

    Args:
        namespace: of the notebook.
        known: further names that are allowed.

    Raises:
        InputError: a name is no parameter of the notebook; the message says which one is nearest.
    """
    cells = namespace.get("In", ())  # the sources of the cells that were executed, in IPython
    places = [place for place, source in enumerate(cells) if source.startswith(INJECTED)]
    own = _assigned(cells[places[-1] - 1]) if places else []
    if own:  # otherwise somebody's own cell begins with that line
        check_names(_assigned(cells[places[-1]]), [*own, *known], where="a parameter of papermill")


def _assigned(source: str) -> list[str]:
    """List the names that a cell of assignments sets; none if it does anything else."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic command of IPython
        return []
    names = []
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                names.append(name)
            case _:
                return []
    return names
