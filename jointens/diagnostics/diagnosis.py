"""Is an ensemble colluding? Diagnostics of its learners' outputs, whoever trained them and with whatever.

`diagnose` asks all the questions below of any outputs `(M, N, K)` and answers in sentences; `debias` and
`drop_learners` are the paper's two operations, those of the second and the third of its three diagnostics (the first,
diversity explosion, is diversity over β).
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..losses.decomposition import check_names, check_outputs, check_targets
from .codependence import Dropping
from .criteria import findings_of
from .inputs import as_tensor
from .report import Report
from .statistics import REPEATS, Case, chunks, gather

LEAST_EXAMPLES = 10
TOO_LARGE = "outputs or targets are so large that losses are not finite; nothing can be said of them"


def debias(outputs: Any) -> Any:
    """Outputs without each learner's constant shift: `(..., M, N, K)` → the same shape.

    Learner i's shift is b_i, its mean output over the N examples minus the learners' mean of these. The shifts sum to
    zero, so the mean output of the learners does not change; for squared error diversity falls by exactly the mean of
    ‖b_i‖². It is the operation of the paper's second diagnostic, debiased diversity.

    Args:
        outputs: a tensor, an array, or what numpy can read.

    Returns:
        A tensor of a tensor, on its device and with its gradient; an array of anything else.

    Raises:
        ValueError: outputs of another shape, or with values that are not finite.
    """
    values = outputs if isinstance(outputs, Tensor) else as_tensor(outputs, "outputs")
    values = values if values.is_floating_point() or values.is_complex() else values.double()
    check_outputs(values)
    means = values.mean(-2, keepdim=True)  # (..., M, 1, K)
    debiased = values - (means - means.mean(-3, keepdim=True))
    if isinstance(outputs, Tensor):
        return debiased
    return (debiased.float() if debiased.dtype == torch.bfloat16 else debiased).numpy()  # numpy has no bfloat16


def drop_learners(
    outputs: Any,
    targets: Any,
    *,
    keep: int,
    repeats: int = REPEATS,
    generator: torch.Generator | None = None,
    loss: str = "squared_error",
    average: str = "scores",
) -> float | Tensor:
    """By how much the ensemble's loss rises, in the mean, if only `keep` random learners are averaged.

    The operation of the paper's third diagnostic, learner codependence. As in the authors' code the subset is drawn
    anew for each example and repeat; the expectation is that of dropping the same learners for all examples. For
    squared error it is exactly `dropping.expected_increase`, a multiple of diversity.

    Args:
        outputs: `(..., M, N, K)`, logits for classification, predictions for regression, of torch, numpy or what numpy
            can read. Ensembles along leading axes, if there are any, are dropped from alike.
        targets: of all of them, classes `(N,)`, or values `(N,)` or `(N, K)`.
        keep: learners that stay, 1 to M.
        repeats: subsets for each example.
        generator: of the subsets; None: torch's global one.
        loss: "squared_error", "cross_entropy", or "zero_one", the share of examples whose class is wrong: accuracy
            falls by that.
        average: "scores", "probabilities" or "released", as in `decompose`.

    Returns:
        A number; for outputs with leading axes a tensor `(...)`, float64.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, a `keep` or `repeats` out of range, an unknown
            name.
    """
    outputs, targets = _checked(outputs, targets, "cross_entropy" if loss == "zero_one" else loss, average)
    for name, value, most in (("keep", keep, outputs.shape[-3]), ("repeats", repeats, None)):
        if not isinstance(value, numbers.Integral) or value < 1 or (most and value > most):
            told = f"1 to {most}, the number of learners" if most else "a whole number, at least 1"
            raise ValueError(f"{name} is {value!r}; allowed is {told}")
    mean = increases(outputs, targets, [loss], average, keep=keep, repeats=repeats, generator=generator)[loss]
    if not mean.isfinite().all():
        raise ValueError(TOO_LARGE)
    return mean if mean.ndim else mean.item()


def increases(
    outputs: Tensor,
    targets: Tensor,
    losses: Sequence[str],
    average: str,
    *,
    keep: int,
    repeats: int,
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    """`drop_learners` for several losses at once, `(...)` each, of tensors that are known to fit."""
    totals = dict.fromkeys(losses, 0.0)
    for at in chunks(outputs):
        rises = Dropping(outputs[..., at, :].double(), targets[at], losses, average).increase(keep, repeats, generator)
        totals = {loss: total + rises[loss].sum(-1) for loss, total in totals.items()}
    return {loss: total / outputs.shape[-2] for loss, total in totals.items()}


def diagnose(outputs: Any, targets: Any, *, loss: str, average: str = "scores", reference: Any = None) -> Report:
    """Look for signs of collusion in the outputs of an ensemble on data that it was not trained on.

    Every number has a 95 % bootstrap interval over the examples. What is reported:

    - individual loss, ensemble loss and diversity;
    - *constant shifts*: the share of the learners' deviations from their mean that is a constant of each learner; for
      squared error that is by how much `debias` lowers diversity, the paper's second diagnostic, less what so few
      examples would show by chance;
    - *systematic drift*: the share that an affine function of the mean prediction explains, fitted for each learner on
      one half of the examples and scored on the other, and the other way round (drift.py; its interval is of the
      scores, the fit being as it is);
    - *error correlation* between learners, about zero: Σ_{i≠j} e_i·e_j over (M−1) Σ_i ‖e_i‖². Below zero errors make up
      for each other. For squared error ensemble loss = individual loss · (1 + (M−1) · this) / M;
    - *codependence*: the increase in loss, and the fall in accuracy, without 20, 40 and 60 % of the learners, the
      paper's third diagnostic; for squared error a multiple of diversity and no evidence of its own;
    - with a `reference`: how much larger diversity is than the reference's, and how much of what it is larger by is
      paid back by a larger individual loss.

    Deviations and errors are of predictions: for classification of class probabilities, whatever is averaged. What
    counts as a sign, and why there, stands in findings.py. Equal inputs give the same report.

    Args:
        outputs: `(M, N, K)`, logits for classification (log-probabilities are logits), predictions for regression; for
            regression also `(M, N)`. Of torch, numpy or what numpy can read; at least two learners and ten examples.
        targets: classes `(N,)`, or values `(N,)` or `(N, K)`.
        loss: "cross_entropy" or "squared_error".
        average: what the ensemble averages: "scores", "probabilities" or "released", as in `decompose`.
        reference: outputs of as many independently trained learners on the same examples. They should differ from the
            others in the objective and in nothing else: data, architecture, optimiser, length of training.

    Raises:
        ValueError: shapes that do not fit, too few learners or examples, values that are not finite, targets that are
            no class or all the same, an unknown name.
    """
    outputs, targets = _checked(outputs, targets, loss, average)
    if outputs.ndim != 3:
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}; a diagnosis is of one ensemble, (M, N, K)")
    if len(outputs) < 2:
        raise ValueError("outputs hold one learner; a diagnosis needs at least two")
    if len(targets) < LEAST_EXAMPLES:
        raise ValueError(f"outputs hold {len(targets)} examples; a diagnosis needs at least {LEAST_EXAMPLES}")
    if (targets == targets[0]).all():
        raise ValueError(f"targets are all {targets[0].tolist()}; a diagnosis needs some that differ")
    others = None
    if reference is not None:
        others = Case(_checked_reference(reference, outputs, targets, loss, average), targets, loss, average)
    evidence = gather(Case(outputs, targets, loss, average), others)
    if not all(rows[0].isfinite().all() for rows in evidence.means.values()):
        raise ValueError(TOO_LARGE)
    advice = "A reference, outputs of independently trained learners, would allow to say more."
    return Report(
        about=_about(outputs, loss, average, others),
        findings=tuple(findings_of(evidence)),
        error_correlations=evidence.correlations.numpy(),
        advice="" if others else advice,
    )


def _checked(outputs: Any, targets: Any, loss: str, average: str) -> tuple[Tensor, Tensor]:
    """Outputs `(..., M, N, K)` and targets as tensors; raises ValueError for what the functions here do not take."""
    outputs, targets = as_tensor(outputs, "outputs"), as_tensor(targets, "targets")
    if loss == "squared_error":
        outputs = outputs.unsqueeze(-1) if outputs.ndim == 2 else outputs
        outputs, targets = (of if of.is_floating_point() else of.double() for of in (outputs, targets))
    check_names(loss, average)
    check_outputs(outputs)
    check_targets(outputs.flatten(0, -4)[0] if outputs.ndim > 3 else outputs, targets, loss)  # of any one ensemble
    if loss == "squared_error":
        return outputs, targets
    if outputs.shape[-1] > 1 and (outputs >= 0).all() and ((outputs.sum(-1) - 1).abs() < 1e-3).all():
        raise ValueError("outputs look like probabilities; allowed are logits: take their logarithm")
    return outputs, targets.long()


def _checked_reference(reference: Any, outputs: Tensor, targets: Tensor, loss: str, average: str) -> Tensor:
    try:
        others, _ = _checked(reference, targets, loss, average)
    except ValueError as error:
        raise ValueError(f"reference: {error}") from None
    if others.shape != outputs.shape:  # of another number of learners diversity and codependence are others anyway
        raise ValueError(
            f"reference has shape {tuple(others.shape)}; allowed is that of outputs, {tuple(outputs.shape)}"
        )
    if (others == others[0]).all():
        raise ValueError("reference: its learners all say the same; allowed are two or more that differ")
    return others


def _about(outputs: Tensor, loss: str, average: str, reference: Case | None) -> str:
    what = f"cross-entropy, average of {average}" if loss == "cross_entropy" else "squared error"
    against = ", beside a reference" if reference else ""
    return f"{len(outputs)} learners on {outputs.shape[1]} examples, {what}{against}."
