"""The figure over learning rates: what is drawn, and what is ringed."""

import numpy as np

import jointens
from jointens.analysis import choose_rates, over_rates
from jointens.reports import learning_rates


def test_the_chosen_rates_are_ringed(tiny, tmp_path):
    sweeps = {
        rate: jointens.run(tiny(beta_vals=[0, 1], seeds=[0, 1], learning_rate=rate), progress=False)
        for rate in (0.01, 0.3)
    }
    frame = over_rates({rate: results.tests() for rate, results in sweeps.items()})
    best, chosen = frame[frame["checkpoint"] == "best"], choose_rates(frame)
    figure = learning_rates.rates(sweeps)
    for axes, (column, (label, scale)) in zip(figure.axes, learning_rates.PANELS.items(), strict=True):
        assert axes.get_ylabel() == label
        dots, mean, ring = axes.lines[:3]  # of β = 0
        rows = best[best["beta"] == 0]
        np.testing.assert_allclose(np.sort(dots.get_ydata()), np.sort(scale * rows[column]))
        means = scale * rows.groupby("learning_rate")[column].mean()
        np.testing.assert_allclose(mean.get_xydata(), np.column_stack([means.index, means]))
        np.testing.assert_allclose(ring.get_xydata(), [[chosen[0], means[chosen[0]]]])
        assert len(axes.lines) == 6
    texts = [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]
    assert any("seeds 0–1" in text and text.endswith("2 experiments") for text in texts)
    figure.savefig(tmp_path / "rates.png")
