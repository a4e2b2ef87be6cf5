"""What is measured of the learners' outputs: losses and accuracies."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from ..losses import class_logits, decompose_unchecked, ensemble_output_unchecked

TOP = 5  # classes that are looked at for the top-5 accuracy, which is measured where there are more than twice as many


def measure(outputs: Tensor, targets: Tensor, *, loss: str, average: str) -> dict[str, Tensor]:
    """Compute mean losses over the examples, and accuracies for classification.

    Args:
        outputs: `(R, M, N, K)`.
        targets: `(R, N)`.
        loss: "cross_entropy" or "squared_error".
        average: what the ensemble averages.

    Returns:
        Values by name. `(R,)`: individual, ensemble, diversity, accuracy, top5_accuracy (for more than ten classes).
        `(R, M)`: learner_accuracy. Losses in nats or squared target units, accuracies as fractions.
    """
    if loss == "cross_entropy":
        outputs = class_logits(outputs)
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
    """Average what was measured in groups, each with its number of examples; a single group is returned as it is."""
    groups = list(groups)
    if len(groups) == 1:
        return groups[0][0]
    number = sum(size for _, size in groups)
    return {name: sum(means[name] * (size / number) for means, size in groups) for name in groups[0][0]}
