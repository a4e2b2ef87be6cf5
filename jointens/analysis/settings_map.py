"""Put sweeps of many settings on one map: what joint training changes, and how far training data are fitted.

`map_settings` makes a row for each setting and checkpoint. A straight line of the difference over one predictor, fitted
on some settings, then predicts the sign of the difference on others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..common import InputError
from .statistics import compare, complete_seeds, reference_beta, verdict

if TYPE_CHECKING:
    import pandas as pd

PREDICTORS = {
    "train_loss": "training loss at β = 0",
    "gap": "validation minus training loss at β = 0",
    "relative_gap": "share of the validation loss that is absent on training data, β = 0",
}
"""Columns of `map_settings` that say how far training data are fitted, in words."""
OUTCOMES = ("accuracy", "loss", "relative_loss")
"""Columns of `map_settings` with paired differences; each has others of the same name with _half_width and _verdict."""


def map_settings(tests: Mapping[str, pd.DataFrame], beta: float = 1) -> pd.DataFrame:
    """Compare β with the reference in each setting, at each checkpoint.

    Args:
        tests: what `Results.tests` gives, by the setting's name.
        beta: what is compared with the reference, β = 0 or the nearest to it.

    Returns:
        A frame indexed by setting and checkpoint. Paired differences of ensembles on test data, each with the
        half-width of its 95 % t interval and `verdict`: accuracy (as a fraction; NaN for regression), loss, and
        relative_loss, which is the loss divided by its mean at the reference. At the reference, in means over seeds:
        train_loss; gap, validation minus training loss, whose labels have the same noise, or test minus training loss
        where no validation loss is stored; relative_gap, gap as a share of that validation or test loss.

    Raises:
        InputError: a setting without β, without a seed that has every β, or without losses on training data.
    """
    import pandas as pd

    rows = {}
    for name, frame in tests.items():
        compared, seeds = compare(frame, beta), complete_seeds(frame)
        if "train_ensemble" not in frame:
            raise InputError(f"{name} holds no ensemble loss on training data: measured_size was 0")
        for checkpoint in compared.index.unique("checkpoint"):
            of = compared.xs(checkpoint, level="checkpoint")
            row = {}
            for outcome, metric in (("accuracy", "accuracy"), ("loss", "ensemble")):
                if metric in of.index:
                    row |= _outcome(outcome, of.loc[metric, "difference"], of.loc[metric, "half_width"])
            base = of.loc["ensemble", "reference"]
            row |= _outcome("relative_loss", row["loss"] / base, row["loss_half_width"] / base)
            train_loss = of.loc["train_ensemble", "reference"]
            held_out = base if "val_ensemble" not in frame else _at_reference(frame, checkpoint, "val_ensemble", seeds)
            gap = held_out - train_loss
            rows[name, checkpoint] = row | {"train_loss": train_loss, "gap": gap, "relative_gap": gap / held_out}
    index = pd.MultiIndex.from_tuples(list(rows), names=["setting", "checkpoint"])
    columns = [f"{name}{part}" for name in OUTCOMES for part in ("", "_half_width", "_verdict")]
    return pd.DataFrame(list(rows.values()), index=index, columns=[*columns, *PREDICTORS])


def _outcome(name: str, difference: float, half_width: float) -> dict[str, float | str]:
    return {
        name: difference,
        f"{name}_half_width": half_width,
        f"{name}_verdict": verdict(difference, half_width),
    }


def _at_reference(frame: pd.DataFrame, checkpoint: str, column: str, seeds: list[int]) -> float:
    rows = frame[(frame["checkpoint"] == checkpoint) & frame["seed"].isin(seeds)]
    return rows.loc[rows["beta"] == reference_beta(frame), column].mean()


@dataclass(frozen=True)
class Line:
    """A straight line fitted by least squares, every setting with the same weight."""

    slope: float
    intercept: float
    slope_half_width: float
    """Of the 95 % t interval of the slope."""
    num_points: int
    centre: float
    """The mean of the predictor."""
    spread: float
    """The sum of the predictor's squared deviations from its mean."""
    residual_deviation: float
    """The standard deviation of the residuals, with two degrees of freedom less than points."""

    @property
    def crossing(self) -> float:
        """Where the line crosses zero; NaN for a flat one."""
        return -self.intercept / self.slope if self.slope else np.nan

    def at(self, predictor: np.ndarray) -> np.ndarray:
        """Return the line's values."""
        return self.intercept + self.slope * np.asarray(predictor, dtype=float)

    def band(self, predictor: np.ndarray) -> np.ndarray:
        """Return the half-width of the 95 % t interval of the line at values of the predictor."""
        from scipy.stats import t

        distance = (np.asarray(predictor, dtype=float) - self.centre) ** 2 / self.spread
        deviation = self.residual_deviation * np.sqrt(1 / self.num_points + distance)
        return t.ppf(0.975, self.num_points - 2) * deviation


def fit_line(frame: pd.DataFrame, predictor: str, outcome: str) -> Line:
    """Fit a straight line of an outcome over a predictor, over the rows of a frame in which both are finite.

    Settings are not weighted by their intervals: those differ by a factor of a hundred, and the few settings with the
    narrowest ones would make the line.

    Args:
        frame: rows of `map_settings`, of one checkpoint.
        predictor: one of PREDICTORS.
        outcome: one of OUTCOMES.

    Raises:
        InputError: fewer than three rows, or all of them at one value of the predictor.
    """
    from scipy.stats import linregress, t

    points = _points(frame, predictor, outcome)
    x, y = points[predictor].to_numpy(), points[outcome].to_numpy()
    if len(points) < 3 or np.ptp(x) == 0:
        raise InputError(f"a line over {predictor} needs three settings and two values; there are {len(points)}")
    found = linregress(x, y)
    residuals = y - found.intercept - found.slope * x
    return Line(
        slope=float(found.slope),
        intercept=float(found.intercept),
        slope_half_width=float(t.ppf(0.975, len(x) - 2) * found.stderr),
        num_points=len(x),
        centre=float(x.mean()),
        spread=float(((x - x.mean()) ** 2).sum()),
        residual_deviation=float(np.sqrt((residuals**2).sum() / (len(x) - 2))),
    )


class Hits(NamedTuple):
    """How often a sign was predicted right."""

    right: int
    decided: int
    """The settings whose own interval leaves out zero; others have no sign to predict."""
    commonest: int
    """How many of these have the sign that is more frequent among them, and would be guessed right by it."""

    def __str__(self) -> str:
        return f"{self.right} of {self.decided}"


def predict_signs(line: Line, frame: pd.DataFrame, predictor: str, outcome: str) -> Hits:
    """Count on how many settings a line that was fitted on others has the sign of the difference.

    Args:
        line: fitted on other settings.
        frame: rows of `map_settings`, of one checkpoint.
        predictor: what the line is over.
        outcome: what it predicts.
    """
    points = _decided(_points(frame, predictor, outcome), outcome)
    return _hits(line.at(points[predictor]), points[outcome])


def leave_one_out(frame: pd.DataFrame, predictor: str, outcome: str) -> Hits:
    """Predict the sign in each setting by a line that is fitted on all others.

    Args:
        frame: rows of `map_settings`, of one checkpoint.
        predictor: one of PREDICTORS.
        outcome: one of OUTCOMES.

    Raises:
        InputError: fewer than four rows.
    """
    points = _points(frame, predictor, outcome)
    decided = _decided(points, outcome)
    predicted = [
        float(fit_line(points.drop(index=name), predictor, outcome).at(row[predictor]))
        for name, row in decided.iterrows()
    ]
    return _hits(np.array(predicted), decided[outcome])


def _points(frame: pd.DataFrame, predictor: str, outcome: str) -> pd.DataFrame:
    values = frame[[predictor, outcome]].astype(float)
    return frame[np.isfinite(values).all(axis=1)]


def _decided(points: pd.DataFrame, outcome: str) -> pd.DataFrame:
    return points[points[f"{outcome}_verdict"].isin(["higher", "lower"])]


def _hits(predicted: np.ndarray, outcome: pd.Series) -> Hits:
    positive, observed = np.asarray(predicted) > 0, outcome.to_numpy() > 0
    commonest = max(observed.sum(), (~observed).sum()) if len(observed) else 0
    return Hits(int((positive == observed).sum()), len(observed), int(commonest))
