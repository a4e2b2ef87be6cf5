"""Which cells are trained together: the stacks of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from ..experiment import Cell, CellRecord


def plan(missing: Sequence[Cell], finished: Sequence[CellRecord], size: int) -> list[list[Cell]]:
    """Divide cells into stacks, so that every missing cell is in one of them.

    A cell's last bits can depend on the others in its stack. So a stack that was broken while its files were being
    written is trained again whole, finished cells and all, though only the missing files are written.

    Args:
        missing: the cells to train.
        finished: every finished cell of the folder, whose provenance names its stack.
        size: of a stack, at most.
    """
    missing = list(missing)
    named = {tuple(Cell(*cell) for cell in record.provenance["stack"]) for record in finished} if missing else set()
    broken = [list(stack) for stack in sorted(named) if not set(stack).isdisjoint(missing)]
    rest = [cell for cell in missing if not any(cell in stack for stack in broken)]
    return broken + [rest[start : start + size] for start in range(0, len(rest), size)]
