"""Tests of bootstrap means: the sample's own mean is exact, and the intervals have their nominal coverage."""

import numpy as np
import pytest
import torch

from jointens.diagnostics.bootstrap import RESAMPLES, estimate, resampled_means


def means(values, sizes=None, seed=0):
    parts = [values] if sizes is None else values.split(sizes)
    return resampled_means(({"x": part} for part in parts), torch.Generator().manual_seed(seed))["x"]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_first_row_is_the_sample_itself_for_any_chunks():
    values = 5 + normal(60, 3)
    for sizes in (None, [60], [1, 59], [7] * 8 + [4]):
        rows = means(values, sizes)
        assert rows.shape == (1 + RESAMPLES, 3)
        torch.testing.assert_close(rows[0], values.mean(0), rtol=0, atol=1e-12)


def test_about_95_percent_of_the_intervals_contain_the_mean():
    """200 samples of 60 normal numbers: 95 %, within 4 standard errors of 1.5 %."""
    held = 0
    for seed in range(200):
        low, high = estimate(means(3 + 2 * normal(60, seed=1000 + seed), seed=seed))[1:]
        held += low <= 3 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_intervals_are_as_wide_as_those_of_the_usual_bootstrap():
    values = normal(400).exp()
    found = estimate(means(values, [150, 250]))
    indices = np.random.default_rng(0).integers(400, size=(2000, 400))
    low, high = np.quantile(values.numpy()[indices].mean(1), [0.025, 0.975])
    assert found.high - found.low == pytest.approx(high - low, rel=0.2)
    assert found.low == pytest.approx(low, abs=0.02) and found.high == pytest.approx(high, abs=0.02)


def test_all_names_share_the_same_resamples():
    first, second = normal(50), normal(50, 2, seed=1)
    chunk = {"first": first, "second": second, "sum": second + first.unsqueeze(1), "one": torch.ones_like(first)}
    parts = ({name: values[at] for name, values in chunk.items()} for at in (slice(0, 20), slice(20, 50)))
    rows = resampled_means(parts, torch.Generator().manual_seed(0))
    assert rows["first"].shape == (1 + RESAMPLES,) and rows["second"].shape == (1 + RESAMPLES, 2)
    torch.testing.assert_close(rows["sum"], rows["second"] + rows["first"].unsqueeze(1), rtol=0, atol=1e-12)
    torch.testing.assert_close(rows["one"], torch.ones(1 + RESAMPLES, dtype=torch.float64), rtol=0, atol=1e-12)
    assert rows["first"].unique().numel() == 1 + RESAMPLES


def test_equal_generators_give_equal_resamples_and_different_ones_different():
    values = normal(30)
    assert torch.equal(means(values), means(values)) and not torch.equal(means(values), means(values, seed=1))


def test_an_estimate_is_the_first_row_with_quantiles_of_the_others():
    rows = torch.cat([torch.tensor([-7.0]), torch.arange(1001.0)[torch.randperm(1001)]]).double()
    assert estimate(rows) == pytest.approx((-7, 25, 975))
