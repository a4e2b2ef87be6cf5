"""Check what the diagnostics are given and convert it: one-hot rows to classes, probabilities to logits, and so on."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..losses import (
    FEWEST_ROWS,
    check_names,
    check_outputs,
    check_targets,
    checked_outputs,
    class_logits,
    two_columns,
    zero_stands_for,
)
from .inputs import as_tensor

MAX_SUM_ERROR = 0.01  # of rows of probabilities, before a report says so


class CheckedEnsemble(NamedTuple):
    """Outputs and targets of ensembles in the form that everything is computed with."""

    outputs: Tensor
    """`(..., M, N, K)`; for classification logits, K ≥ 2."""
    targets: Tensor
    """Classes `(N,)`, or values `(N,)` or `(N, K)`."""
    notes: tuple[str, ...]
    """What was converted, in sentences."""


def checked_ensemble(outputs: Any, targets: Any, loss: str, average: str, outputs_are: str) -> CheckedEnsemble:
    """Convert outputs `(..., M, N, K)` or `(M, N)` and targets, which all ensembles share; raises ValueError."""
    outputs, targets = as_tensor(outputs, "outputs"), as_tensor(targets, "targets")
    check_names(loss, average, outputs_are)
    if outputs.ndim == 2 and (loss == "squared_error" or targets.shape[:1] == outputs.shape[1:]):
        outputs = outputs.unsqueeze(-1)
    notes = []
    if loss == "squared_error":
        outputs, targets = (t if t.is_floating_point() else t.double() for t in (outputs, targets))
    else:
        targets = _classes(targets, outputs, notes)
    check_outputs(outputs)
    check_targets(outputs.flatten(0, -4)[0] if outputs.ndim > 3 else outputs, targets, loss)
    if loss == "squared_error":
        return CheckedEnsemble(outputs, targets, ())
    targets, num_outputs = targets.long(), outputs.shape[-1]
    if outputs_are == "probabilities":
        probabilities = outputs.double()
        outputs = checked_outputs(probabilities, loss, average, outputs_are)
        notes += _notes_on_probabilities(two_columns(probabilities), targets)
    else:
        outputs = checked_outputs(outputs, loss, average)
        _check_range(outputs)
    if num_outputs == 1:
        meaning = "the probability of class 1" if outputs_are == "probabilities" else "the logit z of (0, z)"
        notes.append(f"The single output for each example is taken as {meaning}.")
    return CheckedEnsemble(class_logits(outputs), targets, tuple(notes))


def _classes(targets: Tensor, outputs: Tensor, notes: list[str]) -> Tensor:
    """Convert one-hot rows `(N, K)` to classes; for a single output also `(N, 1)`, and 0.0 and 1.0."""
    if outputs.ndim < 3:
        return targets
    if outputs.shape[-1] == 1:
        targets = targets.squeeze(-1) if targets.ndim == 2 and targets.shape[1] == 1 else targets
        return targets.long() if ((targets == 0) | (targets == 1)).all() else targets
    if targets.shape != outputs.shape[-2:] or not targets.numel():
        return targets
    if not is_one_hot(targets):
        raise ValueError(f"targets {tuple(targets.shape)} are not one-hot; allowed are classes ({len(targets)},)")
    notes.append("Targets are one-hot, and taken as classes.")
    return targets.to(torch.int8).argmax(-1)


def is_one_hot(targets: Tensor) -> bool:
    """Return True if each row of targets `(N, K)` holds a single 1 among zeros."""
    return bool(((targets == 0) | (targets == 1)).all() and ((targets == 1).sum(-1) == 1).all())


def _check_range(outputs: Tensor) -> None:
    """Check that logits are not all between 0 and 1, as those of independent sigmoids are; raises ValueError."""
    low, high = outputs.min().item(), outputs.max().item()
    if low < 0 or high > 1 or low == high or outputs.shape[:-1].numel() < FEWEST_ROWS:
        return
    found = "outputs are between 0 and 1, as probabilities are"
    if outputs.shape[-1] > 1:
        sums = outputs.double().sum(-1)
        found += f", but rows sum to {sums.min().item():.3g} to {sums.max().item():.3g}"
    raise ValueError(f"{found}; allowed are logits, or probabilities with outputs_are='probabilities'")


def _notes_on_probabilities(probabilities: Tensor, targets: Tensor) -> list[str]:
    """Say what was done to probabilities `(..., M, N, K)` that changes the losses."""
    notes, sums = [], probabilities.sum(-1)
    if (sums - 1).abs().max() > MAX_SUM_ERROR:
        notes.append(f"Rows sum to {sums.min().item():.3g} to {sums.max().item():.3g}, and are divided by their sums.")
    own = probabilities.gather(-1, targets.expand(probabilities.shape[:-1]).unsqueeze(-1))
    if zeros := int((own <= 0).sum()):
        taken = f"{zero_stands_for(probabilities).item():.3g}"
        notes.append(f"{zeros} of {own.numel()} probabilities of the true class are 0, and count as {taken}.")
    return notes
