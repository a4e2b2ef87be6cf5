"""Find learners that give the same outputs, as one seed, or one checkpoint, for several of them does."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

TOLERANCE = 1e-4  # of the outputs' spread: two evaluations of one network may differ by rounding
FIRST = 16  # examples that are compared first


def same_learners(outputs: Tensor) -> tuple[tuple[int, ...], ...]:
    """Group learners whose outputs `(M, N, K)` agree on every example; returns the indices in each group of several.

    They agree if no output differs by more than 10⁻⁴ of the outputs' mean absolute deviation over the examples.
    """
    groups: list[tuple[float, list[int]]] = []  # the largest difference in a group, and its learners
    for index, learner in enumerate(outputs):
        for largest, group in groups:
            first = outputs[group[0]]
            if _agree(learner[:FIRST], first[:FIRST], largest) and _agree(learner, first, largest):
                group.append(index)
                break
        else:
            values = learner.double()
            groups.append((TOLERANCE * (values - values.mean(0)).abs().mean().item(), [index]))
    return tuple(tuple(group) for _, group in groups if len(group) > 1)


def _agree(one: Tensor, other: Tensor, largest: float) -> bool:
    return (one.double() - other.double()).abs().max().item() <= largest


def describe_same_learners(groups: Sequence[Sequence[int]], num_learners: int) -> str:
    """Describe the groups in one sentence; "" if there are none."""
    if not groups:
        return ""
    if len(groups[0]) == num_learners:
        return f"All {num_learners} learners give the same outputs: do they share a seed or a checkpoint?"
    named = "; ".join(f"{', '.join(map(str, group[:-1]))} and {group[-1]}" for group in groups)
    return f"Learners {named} (counted from 0) give the same outputs: do they share a seed or a checkpoint?"
