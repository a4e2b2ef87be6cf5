"""Train on the expectation of learner dropout: the mean over all subsets of the learners in place of a random one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..experiment import CellRecord, Experiment, tests_of
from ..losses import decompose_unchecked, ensemble_output_unchecked
from ..sweeps import make_trainer
from ..theory import subset_weights
from ..training import Objective

if TYPE_CHECKING:
    import pandas as pd


class ExpectedObjective(Objective):
    """The expectation of `Objective` with `kept_learners`, by enumeration: nothing is drawn."""

    def __call__(self, outputs: Tensor, targets: Tensor, betas: Tensor) -> Tensor:
        """Compute it: outputs `(R, M, B, K)`, targets `(R, B)` or `(R, B, K)`, betas `(R,)` → `(R, B)`."""
        num_learners = outputs.shape[1]
        weights = subset_weights(self.kept_learners or num_learners, num_learners).to(outputs)  # (C, M)
        seen = outputs.unsqueeze(1).expand(-1, len(weights), -1, -1, -1)
        of_subsets = ensemble_output_unchecked(seen, weights=weights, **self.averaging)  # (R, C, B, K)
        # A subset's output is a score again, whatever was averaged; the mean over subsets is over "learners" here.
        expected = decompose_unchecked(of_subsets, targets, loss=self.averaging["loss"], average="scores").individual
        individual = decompose_unchecked(outputs, targets, **self.averaging).individual
        return individual + betas.unsqueeze(-1) * (expected - individual)


def train_on_expectation(experiment: Experiment) -> pd.DataFrame:
    """Train all cells of an experiment with `kept_learners` on the expected loss; nothing is written to a folder.

    Args:
        experiment: of a few small runs, which are trained as one program; without `diversity_cap`.

    Returns:
        What `Results.tests` gives.
    """
    trainer = make_trainer(experiment, experiment.cells)
    averaging = {"loss": experiment.loss, "average": experiment.average}
    kept = experiment.kept_learners
    trainer.objective = ExpectedObjective(**averaging, num_learners=experiment.num_learners, kept_learners=kept)
    records = [
        CellRecord.of(cell, best_epoch=run.best_epoch, test=run.test, history=run.history, provenance={})
        for cell, run in zip(experiment.cells, trainer.run(), strict=True)
    ]
    return tests_of(records)
