"""Learning rates and β chosen on validation data, on frames whose choice is known."""

import pytest
from seeds_and_betas import frame

from jointens import InputError
from jointens.analysis import (
    at_betas,
    at_rates,
    choose_betas,
    choose_rates,
    compare,
    over_rates,
    side_by_side,
)

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


# Mean over three seeds: 0.5 is best. Of seed 2 it is 1.0, of seed 0 and 1 it is 0.5.
BY_SEED = {0.0: [0.6, 0.6, 0.6], 0.5: [0.3, 0.3, 0.5], 1.0: [0.5, 0.5, 0.4]}


def sweep():
    rows = frame(seeds=range(3))
    losses = [BY_SEED[beta][seed] for beta, seed in zip(rows["beta"], rows["seed"], strict=True)]
    # At the last epoch the order is the other way round: it must not matter.
    return rows.assign(val_ensemble=losses).assign(
        val_ensemble=lambda new: new["val_ensemble"].where(new["checkpoint"] == "best", -new["val_ensemble"])
    )


def test_beta_is_chosen_for_each_seed_or_in_the_mean():
    assert choose_betas(sweep()) == {0: 0.5, 1: 0.5, 2: 1.0}
    assert choose_betas(sweep(), per_seed=False) == {0: 0.5, 1: 0.5, 2: 0.5}


def test_a_beta_that_lacks_a_seed_is_not_chosen_in_the_mean():
    tests = sweep()
    tests = tests[(tests["beta"] != 0.5) | (tests["seed"] != 1)]
    assert choose_betas(tests, per_seed=False) == {0: 1.0, 1: 1.0, 2: 1.0}
    assert choose_betas(tests) == {0: 0.5, 1: 1.0, 2: 1.0}


def test_the_chosen_beta_is_compared_with_zero_within_seeds():
    chosen = at_betas(sweep(), choose_betas(sweep()))
    assert len(chosen) == 2 * 2 * 3 and set(chosen["beta"]) == {0.0, 1.0}
    compared = compare(chosen, 1.0).loc[("ensemble", "best")]  # the loss is 1 + β
    assert (compared["reference"], compared["beta"]) == pytest.approx((1.0, 1 + 2 / 3))
    assert compared["half_width"] == pytest.approx(4.302653 * (1 / 12) ** 0.5 / 3**0.5)  # of 0.5, 0.5 and 1


def test_two_trainings_side_by_side():
    rows = frame(seeds=range(3))
    joined = side_by_side(rows[rows["beta"] == 0.5], rows[rows["beta"] == 1.0].assign(ensemble=4.0))
    assert compare(joined, 1.0).loc[("ensemble", "last"), "difference"] == pytest.approx(4.0 - 1.5)
    with pytest.raises(InputError, match="allowed are those of a single β"):
        side_by_side(rows, rows[rows["beta"] == 1.0])
