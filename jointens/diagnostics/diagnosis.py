"""Diagnose collusion from an ensemble's outputs, whatever framework trained its learners.

`diagnose` reports all diagnostics for outputs `(M, N, K)`. `debias` and `drop_learners` are the operations behind the
second and the third of the paper's three diagnostics (the first, diversity explosion, is diversity over β).
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..losses import check_outputs
from .checks import CheckedEnsemble, checked_ensemble
from .codependence import SubsetLosses
from .criteria import derive_findings
from .duplicates import same_learners
from .inputs import as_tensor
from .report import Report
from .statistics import REPEATS, EnsembleOutputs, chunks, compute_statistics

MIN_EXAMPLES = 10
TOO_LARGE = "outputs or targets are so large that losses are not finite; allowed are values with finite losses"


def debias(outputs: Any) -> Any:
    """Subtract each learner's constant shift from its outputs, `(..., M, N, K)`.

    Learner i's shift b_i is its mean output over the N examples minus the mean output of all learners. The shifts sum
    to zero, so the learners' mean does not change; for squared error, diversity falls by exactly the mean of ‖b_i‖².
    This is the operation of the paper's second diagnostic, debiased diversity.

    Args:
        outputs: a tensor, an array, or anything that numpy can read.

    Returns:
        Outputs of the same shape, for a tensor a tensor on its device and differentiable, otherwise an array.

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
    outputs_are: str = "logits",
) -> float | Tensor:
    """Compute the mean increase in the ensemble's loss when only `keep` random learners are averaged.

    This is the operation of the paper's third diagnostic, learner codependence. As in the authors' code, a new subset
    is drawn for each example and repeat; the expectation is that of dropping the same learners for all examples. For
    squared error the expectation is `expected_increase`, a multiple of diversity.

    Args:
        outputs: `(..., M, N, K)`, for a single output also `(M, N)`, as in `diagnose`. With leading axes, the same
            subsets are drawn for all ensembles.
        targets: shared by all ensembles, as in `diagnose`.
        keep: number of learners in a subset, 1 to M.
        repeats: number of subsets for each example.
        generator: generator of the subsets; None is torch's global generator.
        loss: "squared_error", "cross_entropy", or "zero_one" (the error rate: its increase is the fall in accuracy).
        average: "scores", "probabilities" or "released", as in `decompose`.
        outputs_are: "logits" or "probabilities", for classification, as in `diagnose`.

    Returns:
        A number; for outputs with leading axes a float64 tensor `(...)`.

    Raises:
        ValueError: shapes that do not fit, values that are missing or not finite, logits that look like probabilities,
            a `keep` or `repeats` out of range, an unknown name.
    """
    checked_loss = "cross_entropy" if loss == "zero_one" else loss
    outputs, targets, _ = checked_ensemble(outputs, targets, checked_loss, average, outputs_are)
    for name, value, maximum in (("keep", keep, outputs.shape[-3]), ("repeats", repeats, None)):
        if not isinstance(value, numbers.Integral) or value < 1 or (maximum and value > maximum):
            allowed = f"1 to {maximum}, the number of learners" if maximum else "a whole number, at least 1"
            raise ValueError(f"{name} is {value!r}; allowed is {allowed}")
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
    """Run `drop_learners` for several losses at once, without its checks; returns `(...)` for each loss."""
    totals = dict.fromkeys(losses, 0.0)
    for chunk in chunks(outputs):
        subsets = SubsetLosses(outputs[..., chunk, :].double(), targets[chunk], losses, average)
        of_chunk = subsets.mean_increase(keep, repeats, generator)
        totals = {loss: total + of_chunk[loss].sum(-1) for loss, total in totals.items()}
    return {loss: total / outputs.shape[-2] for loss, total in totals.items()}


def diagnose(
    outputs: Any,
    targets: Any,
    *,
    loss: str,
    average: str = "scores",
    reference: Any = None,
    outputs_are: str = "logits",
) -> Report:
    """Look for signs of collusion in an ensemble's outputs on held-out data.

    Every number has a 95 % bootstrap interval over the examples. The report contains:

    - individual loss, ensemble loss and diversity;
    - *constant shifts*: the share of the learners' squared deviations from their mean that is constant over examples.
      For squared error it is the share by which `debias` lowers diversity, the paper's second diagnostic, corrected for
      the bias of finitely many examples;
    - *systematic drift*: the share that an affine function of the mean prediction explains, for each learner, by
      two-fold cross-validation (see `affine_fit`; the interval is of the scores, for the given fits);
    - *error correlation*: the uncentred correlation between learners' errors, Σ_{i≠j} e_i·e_j / ((M−1) Σ_i ‖e_i‖²).
      Below zero, errors cancel. For squared error, ensemble loss = individual loss · (1 + (M−1) · correlation) / M;
    - *codependence*: the increase in loss, and the fall in accuracy, without 20, 40 and 60 % of the learners, the
      paper's third diagnostic; for squared error it is a multiple of diversity;
    - with a `reference`: the ratio of diversity to the reference's, and the share of the extra diversity that is paid
      back by a larger individual loss.

    Deviations and errors are those of predictions; for classification, of class probabilities for every `average`. The
    thresholds for signs of collusion are documented in `criteria`. Equal inputs give equal reports. Learners that give
    the same outputs are named in the verdict, and what was converted is told below the first line.

    Args:
        outputs: `(M, N, K)`, logits for classification (log-probabilities are logits), predictions for regression. A
            single output, `(M, N, 1)` or `(M, N)`, is a prediction for regression, and for classification the logit z
            of a binary classifier, which stands for the logits (0, z). A tensor, an array, or anything that numpy can
            read; at least two learners and ten examples.
        targets: classes `(N,)`, or one-hot rows `(N, K)`; values `(N,)` or `(N, K)` for regression.
        loss: "cross_entropy" or "squared_error".
        average: the ensemble's average: "scores", "probabilities" or "released", as in `decompose`.
        reference: outputs of as many independently trained learners on the same examples. They should differ from
            `outputs` in the objective only: same data, architecture, optimiser and length of training.
        outputs_are: what `outputs` and `reference` are for classification, "logits" or "probabilities". Probabilities
            are `(M, N, K)`, each row with a sum of 1 within 0.1, by which it is divided; or those of class 1,
            `(M, N, 1)` or `(M, N)`. They are converted to their logarithms. A probability of exactly 0 counts as half
            of the smallest positive one, and as at most 0.1 / K.

    Returns:
        A `Report`.

    Raises:
        ValueError: shapes that do not fit, too few learners or examples, values that are missing or not finite, targets
            that are out of range or all the same, an unknown name; logits that look like probabilities (all between 0
            and 1, or most rows with a sum of about 100), probabilities that are none.
    """
    ensemble = checked_ensemble(outputs, targets, loss, average, outputs_are)
    outputs, targets, notes = ensemble
    if outputs.ndim != 3:
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}; a diagnosis is of one ensemble, (M, N, K)")
    if len(outputs) < 2:
        raise ValueError("outputs hold one learner; a diagnosis needs at least two")
    if len(targets) < MIN_EXAMPLES:
        raise ValueError(f"outputs hold {len(targets)} examples; a diagnosis needs at least {MIN_EXAMPLES}")
    if (targets == targets[0]).all():
        raise ValueError(f"targets are all {targets[0].tolist()}; a diagnosis needs some that differ")
    compared = None
    if reference is not None:
        other = _checked_reference(reference, ensemble, loss, average, outputs_are)
        compared = EnsembleOutputs(other.outputs, targets, loss, average)
        notes += tuple(f"Reference: {note}" for note in other.notes if note not in notes)
    statistics = compute_statistics(EnsembleOutputs(outputs, targets, loss, average), compared)
    if not all(rows[0].isfinite().all() for rows in statistics.means.values()):
        raise ValueError(TOO_LARGE)
    advice = "A reference, outputs of independently trained learners, would allow to say more."
    return Report(
        about=_describe(outputs, loss, average, has_reference=compared is not None),
        findings=tuple(derive_findings(statistics)),
        error_correlations=statistics.error_correlations.numpy(),
        advice="" if compared else advice,
        notes=notes,
        duplicates=same_learners(outputs),
    )


def _checked_reference(
    reference: Any, ensemble: CheckedEnsemble, loss: str, average: str, outputs_are: str
) -> CheckedEnsemble:
    """Convert a reference and check it against the ensemble; raises ValueError."""
    try:
        other = checked_ensemble(reference, ensemble.targets, loss, average, outputs_are)
    except ValueError as error:
        raise ValueError(f"reference: {error}") from None
    found, allowed = tuple(other.outputs.shape), tuple(ensemble.outputs.shape)
    if found != allowed:  # diversity and codependence depend on the number of learners
        raise ValueError(f"reference has shape {found}; allowed is that of outputs, {allowed}")
    if (other.outputs == other.outputs[0]).all():
        raise ValueError("reference: its learners are all the same; allowed are two or more that differ")
    return other


def _describe(outputs: Tensor, loss: str, average: str, *, has_reference: bool) -> str:
    """Describe the ensemble and how it is evaluated, as the report's first line."""
    criterion = f"cross-entropy, average of {average}" if loss == "cross_entropy" else "squared error"
    suffix = ", beside a reference" if has_reference else ""
    return f"{len(outputs)} learners on {outputs.shape[1]} examples, {criterion}{suffix}."
