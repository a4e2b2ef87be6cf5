"""Statistics that a diagnosis needs: means over the examples, and over bootstrap resamples of them.

For classification they are computed from class probabilities, since logits of equally good networks differ a lot; a
learner's error is its probabilities minus the one-hot class. Everything is float64 and accumulated in chunks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..losses import decompose_unchecked
from .affine_fit import CrossValidatedAffineFit
from .bootstrap import resampled_means
from .codependence import FLOAT64, SubsetLosses, expected_increase

SHARES = (0.2, 0.4, 0.6)  # shares of the learners that are dropped, as in the authors' code
COMPARED_SHARE = 0.4  # the share that is dropped from the reference, too
REPEATS = 100  # random subsets for each example, as in the authors' code …
SUBSETS = 200_000  # … or fewer, to stay below this number in total
CHUNK_ROWS, CHUNK_NUMBERS = 8192, 2**21  # limits of a chunk: examples, and numbers in the outputs


@dataclass(frozen=True)
class EnsembleOutputs:
    """Validated outputs `(M, N, K)` and targets of one ensemble, with its loss and average."""

    outputs: Tensor
    targets: Tensor
    loss: str
    average: str

    def losses(self, chunk: slice) -> dict[str, Tensor]:
        """Compute individual loss, ensemble loss and diversity of a chunk of examples, `(B,)` each."""
        outputs, targets = self.outputs[:, chunk].double(), self.targets[chunk]
        return decompose_unchecked(outputs, targets, loss=self.loss, average=self.average)._asdict()

    def predictions(self, chunk: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the mean prediction `(B, K)`, the learners' deviations from it and their errors, `(B, M, K)` each."""
        predictions, targets = self.outputs[:, chunk].double().transpose(0, 1), self.targets[chunk]
        if self.loss == "cross_entropy":
            predictions, targets = predictions.softmax(-1), one_hot(targets, predictions.shape[-1])
        mean = predictions.mean(1)
        return mean, predictions - mean.unsqueeze(1), predictions - targets.reshape(len(predictions), 1, -1)

    def subset_losses(self, chunk: slice, losses: list[str]) -> SubsetLosses:
        """Prepare the losses of subsets of the learners on a chunk of examples."""
        return SubsetLosses(self.outputs[:, chunk].double(), self.targets[chunk], losses, self.average)


@dataclass(frozen=True)
class EnsembleStatistics:
    """The statistics from which every finding is computed."""

    means: dict[str, Tensor]
    """Means by name, `(1 + RESAMPLES,)`, or `(1 + RESAMPLES, M·K)` for the shifts: see `resampled_means`."""
    error_products: Tensor
    """Sum over the examples of the products e_i·e_j of the errors of every two learners, `(M, M)`."""
    num_dropped: tuple[int, ...]
    """The numbers of learners that are dropped."""
    ensemble: EnsembleOutputs
    reference: EnsembleOutputs | None

    @property
    def num_learners(self) -> int:
        return len(self.ensemble.outputs)

    @property
    def error_correlations(self) -> Tensor:
        """Uncentred correlation of the errors of every two learners, `(M, M)`."""
        norms = self.error_products.diagonal().sqrt().clamp_min(1e-300)
        return self.error_products / norms / norms.unsqueeze(1)

    @property
    def correlation_deviation(self) -> float:
        """Standard deviation of the error correlation over the choice of learners, by the jackknife.

        It is infinite for two learners: with one left out, there is no pair.
        """
        number = self.num_learners
        if number < 3:
            return math.inf
        own, row_sums = self.error_products.diagonal(), self.error_products.sum(1)
        squares = own.sum() - own  # Σ_j ‖e_j‖² without the learner that is left out
        pairs = self.error_products.sum() - 2 * row_sums + own - squares  # Σ_{j≠k} e_j·e_k without it
        correlations = pairs / (squares * (number - 2)).clamp_min(1e-300)
        return ((number - 1) ** 2 / number * correlations.var(correction=1)).sqrt().item()


def dropped_of(num_learners: int, share: float) -> int:
    """Convert a share of the learners to a number of learners, rounded down as in the authors' code."""
    return int(num_learners * share)


def compute_statistics(ensemble: EnsembleOutputs, reference: EnsembleOutputs | None = None) -> EnsembleStatistics:
    """Compute the statistics of an ensemble in two passes over the examples: fit the affine functions, then score.

    Args:
        ensemble: outputs and targets of the ensemble.
        reference: outputs of independently trained learners on the same examples; None leaves its statistics out.
    """
    num_learners, num_examples, _ = ensemble.outputs.shape
    is_classification = ensemble.loss == "cross_entropy"
    num_dropped = tuple(dict.fromkeys(drop for share in SHARES if (drop := dropped_of(num_learners, share))))
    repeats = max(1, min(REPEATS, SUBSETS // num_examples))
    generator = torch.Generator("cpu").manual_seed(0)  # equal inputs give equal reports
    fold = torch.randperm(num_examples, generator=generator, device="cpu") % 2  # (N,)
    fit, products = CrossValidatedAffineFit(), torch.zeros(num_learners, num_learners, **FLOAT64)
    for chunk in chunks(ensemble.outputs):
        mean, deviations, errors = ensemble.predictions(chunk)
        fit.update(mean, deviations, fold[chunk])
        products += torch.einsum("bik,bjk->ij", errors, errors)

    def example_statistics() -> Iterator[dict[str, Tensor]]:
        for chunk in chunks(ensemble.outputs):
            values = ensemble.losses(chunk)
            mean, deviations, errors = ensemble.predictions(chunk)
            values["shifts"] = deviations.flatten(1)  # (B, M·K), whose means are the constant shifts
            values["deviations"] = deviations.square().sum((1, 2))
            values["unexplained"] = fit.held_out_residuals(mean, deviations, fold[chunk]).square().sum((1, 2))
            values["errors"] = errors.square().sum((1, 2))
            values["joint_errors"] = errors.sum(1).square().sum(1)
            subsets = ensemble.subset_losses(chunk, ["cross_entropy", "zero_one"]) if is_classification else None
            for drop in num_dropped:
                if subsets:
                    increases = subsets.mean_increase(num_learners - drop, repeats, generator)
                    values |= {f"drop{drop}": increases["cross_entropy"], f"accuracy{drop}": increases["zero_one"]}
                else:
                    values[f"drop{drop}"] = expected_increase(values["diversity"], num_learners, num_learners - drop)
            if reference:
                values |= {f"reference_{name}": part for name, part in reference.losses(chunk).items()}
                if is_classification and (drop := dropped_of(num_learners, COMPARED_SHARE)):
                    subsets = reference.subset_losses(chunk, ["zero_one"])
                    increases = subsets.mean_increase(num_learners - drop, repeats, generator)
                    values["reference_accuracy"] = increases["zero_one"]
            yield values

    return EnsembleStatistics(
        means=resampled_means(example_statistics(), generator),
        error_products=products,
        num_dropped=num_dropped,
        ensemble=ensemble,
        reference=reference,
    )


def chunks(outputs: Tensor) -> Iterator[slice]:
    """Split the examples into chunks that fit into memory: slices of the axis N of `(..., M, N, K)`."""
    number = outputs.shape[-2]
    size = max(1, min(CHUNK_ROWS, CHUNK_NUMBERS * number // outputs.numel()))
    for start in range(0, number, size):
        yield slice(start, min(start + size, number))
