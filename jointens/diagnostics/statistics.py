"""What a diagnosis looks at: means over the examples, and over bootstrap resamples of them, of everything it needs.

Classification is looked at as its class probabilities, since logits of equally good networks differ a lot; a learner's
error is then its probabilities minus the one-hot class. All is float64, some examples at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..losses.decomposition import decompose_unchecked
from .affine_fit import AffineFit
from .bootstrap import resampled_means
from .codependence import Dropping, expected_increase

SHARES = (0.2, 0.4, 0.6)  # of the learners that are dropped, as in the authors' code
COMPARED_SHARE = 0.4  # that which is dropped from a reference, too
REPEATS = 100  # subsets for each example, as in the authors' code …
SUBSETS = 200_000  # … or fewer, where that would be more than so many in all
CHUNK_ROWS, CHUNK_NUMBERS = 8192, 2**21  # examples, and numbers of outputs, that are looked at together


@dataclass(frozen=True)
class Case:
    """Outputs `(M, N, K)` and targets that fit, and how the ensemble is made of them and judged."""

    outputs: Tensor
    targets: Tensor
    loss: str
    average: str

    def losses(self, at: slice) -> dict[str, Tensor]:
        """individual, ensemble and diversity of some examples, `(B,)` each."""
        outputs, targets = self.outputs[:, at].double(), self.targets[at]
        return decompose_unchecked(outputs, targets, loss=self.loss, average=self.average)._asdict()

    def predictions(self, at: slice) -> tuple[Tensor, Tensor, Tensor]:
        """The learners' mean prediction `(B, K)`, and their deviations from it and their errors, `(B, M, K)` each."""
        of, targets = self.outputs[:, at].double().transpose(0, 1), self.targets[at]
        if self.loss == "cross_entropy":
            of, targets = of.softmax(-1), one_hot(targets, of.shape[-1])
        mean = of.mean(1)
        return mean, of - mean.unsqueeze(1), of - targets.reshape(len(of), 1, -1)

    def dropping(self, at: slice, losses: list[str]) -> Dropping:
        """To drop learners for some examples."""
        return Dropping(self.outputs[:, at].double(), self.targets[at], losses, self.average)


@dataclass(frozen=True)
class Evidence:
    """What the findings are functions of."""

    means: dict[str, Tensor]
    """By name `(1 + RESAMPLES,)`, or `(1 + RESAMPLES, M·K)` of the shifts: see `resampled_means`."""
    products: Tensor
    """`(M, M)`, Σ e_i·e_j over the examples, of the errors of every two learners."""
    drops: tuple[int, ...]
    """How many learners are dropped."""
    case: Case
    reference: Case | None

    @property
    def num_learners(self) -> int:
        return len(self.case.outputs)

    @property
    def correlations(self) -> Tensor:
        """`(M, M)`, of the errors of every two learners, about zero."""
        scale = self.products.diagonal().sqrt().clamp_min(1e-300)
        return self.products / scale / scale.unsqueeze(1)

    @property
    def correlation_deviation(self) -> float:
        """How much the errors' mean correlation owes to which learners there are: its standard deviation, by jackknife.

        Of two learners it is infinite: with one of them left out, nothing can be compared.
        """
        number = self.num_learners
        if number < 3:
            return math.inf
        own, row = self.products.diagonal(), self.products.sum(1)
        without = own.sum() - own  # Σ ‖e_j‖² over the others, for each learner that is left out
        pairs = self.products.sum() - 2 * row + own - without  # Σ_{j≠k} e_j·e_k over the others
        of = pairs / (without * (number - 2)).clamp_min(1e-300)
        return ((number - 1) ** 2 / number * of.var(correction=1)).sqrt().item()


def dropped_of(num_learners: int, share: float) -> int:
    """How many learners a share of them is: rounded down, as in the authors' code."""
    return int(num_learners * share)


def gather(case: Case, reference: Case | None = None) -> Evidence:
    """Look at all examples, twice: what is fitted to one half of them is scored on the other."""
    num_learners, num_examples, _ = case.outputs.shape
    classifies = case.loss == "cross_entropy"
    drops = tuple(dict.fromkeys(drop for share in SHARES if (drop := dropped_of(num_learners, share))))
    repeats = max(1, min(REPEATS, SUBSETS // num_examples))
    chance = torch.Generator().manual_seed(0)  # equal inputs give equal reports
    half = torch.randperm(num_examples, generator=chance) % 2  # (N,), of 0 and 1
    fit, products = AffineFit(), torch.zeros(num_learners, num_learners, dtype=torch.float64)
    for at in chunks(case.outputs):
        mean, deviations, errors = case.predictions(at)
        fit.add(mean, deviations, half[at])
        products += torch.einsum("bik,bjk->ij", errors, errors)

    def features() -> Iterator[dict[str, Tensor]]:
        for at in chunks(case.outputs):
            told = case.losses(at)
            mean, deviations, errors = case.predictions(at)
            told["shifts"] = deviations.flatten(1)  # (B, M·K), whose means are the constant shifts
            told["deviations"] = deviations.square().sum((1, 2))
            told["unexplained"] = fit.residuals(mean, deviations, half[at]).square().sum((1, 2))
            told["errors"] = errors.square().sum((1, 2))
            told["joint_errors"] = errors.sum(1).square().sum(1)
            dropping = case.dropping(at, ["cross_entropy", "zero_one"]) if classifies else None
            for drop in drops:
                if dropping:
                    rises = dropping.increase(num_learners - drop, repeats, chance)
                    told |= {f"drop{drop}": rises["cross_entropy"], f"accuracy{drop}": rises["zero_one"]}
                else:
                    told[f"drop{drop}"] = expected_increase(told["diversity"], num_learners, num_learners - drop)
            if reference:
                told |= {f"reference_{name}": part for name, part in reference.losses(at).items()}
                if classifies and (drop := dropped_of(num_learners, COMPARED_SHARE)):
                    rises = reference.dropping(at, ["zero_one"]).increase(num_learners - drop, repeats, chance)
                    told["reference_accuracy"] = rises["zero_one"]
            yield told

    return Evidence(resampled_means(features(), chance), products, drops, case, reference)


def chunks(outputs: Tensor) -> Iterator[slice]:
    """Examples that are looked at together: slices of the axis N of `(..., M, N, K)`."""
    number = outputs.shape[-2]
    size = max(1, min(CHUNK_ROWS, CHUNK_NUMBERS * number // outputs.numel()))
    for start in range(0, number, size):
        yield slice(start, min(start + size, number))
