"""Learning rates chosen on validation data, on frames whose choice is known."""

import pytest
from seeds_and_betas import frame

from jointens.analysis import at_rates, choose_rates, compare, over_rates

# Mean validation loss by β and rate, at the best checkpoint. The test loss is 1 + β + the rate.
VALIDATION = {(0.0, 0.01): 0.5, (0.0, 0.1): 0.4, (0.0, 1.0): 0.9, (1.0, 0.01): 0.7, (1.0, 0.1): 0.8, (1.0, 1.0): 0.1}


def rows_at(rate, seeds=range(3)):
    rows = frame(seeds=seeds, betas=(0.0, 1.0))
    loss = rows["beta"].map(lambda beta: VALIDATION[beta, rate]) + 0.01 * (rows["seed"] - 1)
    # At the last epoch the order of the rates is the other way round: it must not matter.
    loss = loss.where(rows["checkpoint"] == "best", -loss)
    rows = rows.assign(val_ensemble=loss, ensemble=rows["ensemble"] + rate)
    diverged = (rate == 1.0) & (rows["beta"] == 1) & (rows["seed"] == 2)  # at the rate with the best loss of all
    return rows[~diverged]


def test_each_beta_gets_the_rate_with_the_lowest_validation_loss():
    joined = over_rates({rate: rows_at(rate) for rate in (1.0, 0.01, 0.1)})
    chosen = choose_rates(joined)
    assert chosen == {0.0: 0.1, 1.0: 0.01}
    rows = at_rates(joined, chosen)
    assert len(rows) == 2 * 2 * 3
    compared = compare(rows, 1.0).loc[("ensemble", "best")]
    assert (compared["reference"], compared["beta"]) == pytest.approx((1.1, 2.01))
    assert compared["difference"] == pytest.approx(0.91)
