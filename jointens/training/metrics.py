"""What is measured of the learners' outputs, and how it becomes the plain numbers of a record."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..losses.decomposition import decompose_unchecked, ensemble_output_unchecked

TOP = 5  # classes that are looked at for the top-5 accuracy, which is measured where there are more than twice as many


def measure(outputs: Tensor, targets: Tensor, *, loss: str, average: str) -> dict[str, Tensor]:
    """Mean losses over the examples, and accuracies for classification.

    outputs `(R, M, N, K)`, targets `(R, N)` → individual, ensemble, diversity, accuracy, top5_accuracy (for more than
    ten classes): `(R,)`; learner_accuracy: `(R, M)`. Losses in nats or squared target units, accuracies as fractions.
    """
    parts = decompose_unchecked(outputs, targets, loss=loss, average=average)
    means = {name: part.mean(-1) for name, part in parts._asdict().items()}
    if loss == "cross_entropy":
        joint = ensemble_output_unchecked(outputs, loss=loss, average=average)  # (R, N, K)
        # The index of the maximum, not argmax: over few classes that is several times slower on a CPU.
        means["accuracy"] = (joint.max(-1).indices == targets).float().mean(-1)
        means["learner_accuracy"] = (outputs.max(-1).indices == targets.unsqueeze(-2)).float().mean(-1)
        if outputs.shape[-1] > 2 * TOP:
            means["top5_accuracy"] = (joint.topk(TOP).indices == targets.unsqueeze(-1)).any(-1).float().mean(-1)
    return means


def mean_over(groups: Iterable[tuple[dict[str, Tensor], int]]) -> dict[str, Tensor]:
    """The mean of what was measured in groups, each with its number of examples; of one group that itself."""
    groups = list(groups)
    if len(groups) == 1:
        return groups[0][0]
    number = sum(size for _, size in groups)
    return {name: sum(told[name] * (size / number) for told, size in groups) for name in groups[0][0]}


def moved(tree, device: str | torch.device):
    """The same nest of lists and dicts with every tensor on that device."""
    if isinstance(tree, dict):
        return {name: moved(value, device) for name, value in tree.items()}
    if isinstance(tree, list):
        return [moved(value, device) for value in tree]
    return tree.to(device) if isinstance(tree, Tensor) else tree


def transposed(records: list[dict]) -> dict:
    """A list of (nested) dicts, one for each validation → one (nested) dict of lists."""
    if not records:
        return {}
    return {
        name: transposed([record[name] for record in records])
        if isinstance(first, dict)
        else [record[name] for record in records]
        for name, first in records[0].items()
    }


def of_run(tree, run: int):
    """What run `run` owns of a nest whose tensors have the leading axis R, in plain numbers.

    float32 values become the shortest decimals that name them: 0.1, not 0.10000000149011612.
    """
    if isinstance(tree, dict):
        return {name: of_run(value, run) for name, value in tree.items()}
    if isinstance(tree, list):
        return [of_run(value, run) for value in tree]
    if not isinstance(tree, Tensor):
        return tree
    own = tree[run].numpy()
    return [float(str(value)) for value in own] if own.ndim else float(str(own))
