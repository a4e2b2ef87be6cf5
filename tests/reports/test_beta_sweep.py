"""Figures of the β sweep: their panels, their texts and their pictures."""

import numpy as np
import pytest
import torch

import jointens
from jointens.data import DATASETS
from jointens.reports import beta_sweep, style


def test_several_sweeps_stand_below_each_other_each_with_its_stamp(tiny):
    classes = jointens.run(tiny(), progress=False)
    values = jointens.run(tiny(dataset="diabetes", train_size=None, learning_rate=0.01), progress=False)
    figure = beta_sweep.sweep(classes, values)
    assert [len(part.axes) for part in figure.subfigs] == [4, 3]
    assert [part._supxlabel.get_text() for part in figure.subfigs] == [style.stamp(of) for of in (classes, values)]
    assert style.stamp(classes).startswith("quick results · digits, 64 training examples · MLP, M = 2")
    alone = beta_sweep.sweep(classes)
    assert len(alone.axes) == 4 and not alone.subfigs and alone._supxlabel.get_text() == style.stamp(classes)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"seeds": [0]},
        {"beta_vals": [0.5]},
        {"average": "released"},
        {"beta_vals": [0, 1], "learning_rate": 1e30},
        {"dataset": "diabetes", "train_size": None, "learning_rate": 0.01},
    ],
    ids=["sweep", "one seed", "one beta", "released", "diverged", "regression"],
)
def test_every_figure_draws_every_kind_of_results(tiny, tmp_path, keys):
    results = jointens.run(tiny(**keys), progress=False)
    drawn = {
        "sweep": beta_sweep.sweep(results),
        "training_curves": beta_sweep.training_curves(results, seed=results.experiment.seeds[0]),
        "train_against_test": beta_sweep.train_against_test(results),
    }
    for name, figure in drawn.items():
        texts = [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]
        shown = results.experiment.seeds[:1] if name == "training_curves" else None
        assert style.stamp(results, shown) in texts, name
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    panels = {axes.get_ylabel().split(",")[0].split("\n")[0] for axes in drawn["sweep"].axes}
    regression = "dataset" in keys
    assert ("test accuracy" in panels) != regression and ("individual squared error" in panels) == regression


def test_augmented_images_stand_beside_torchvisions():
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    figure = beta_sweep.augmented(images, DATASETS["CIFAR-10"].augmentation, columns=3)
    shown = [
        [axes.images[0].get_array() for axes in figure.axes[row * 4 : row * 4 + 4] if axes.images] for row in range(4)
    ]
    assert [len(row) for row in shown] == [4, 3, 4, 3]  # the original stands once
    for block in (0, 2):
        original, *ours = shown[block]
        assert np.array_equal(original, images[block // 2].permute(1, 2, 0))
        for one, other in zip(ours, shown[block + 1], strict=True):
            assert (one != other).mean() < 2e-3 and (one != original).mean() > 0.5
