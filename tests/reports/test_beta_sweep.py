"""Figures: what stands in them, and the stamp that says where their numbers come from."""

import dataclasses

import numpy as np
import torch

import jointens
from jointens.data.registry import DATASETS
from jointens.reports import beta_sweep


def test_several_sweeps_stand_below_each_other_each_with_its_stamp(tiny):
    classes = jointens.run(tiny(), progress=False)
    values = jointens.run(tiny(dataset="diabetes", train_size=None, learning_rate=0.01), progress=False)
    figure = beta_sweep.sweep(classes, values)
    assert [len(part.axes) for part in figure.subfigs] == [4, 3]
    assert [part._supxlabel.get_text() for part in figure.subfigs] == [beta_sweep.stamp(of) for of in (classes, values)]
    assert beta_sweep.stamp(classes).startswith("quick results · digits, 64 training examples · MLP, M = 2")
    alone = beta_sweep.sweep(classes)
    assert len(alone.axes) == 4 and not alone.subfigs and alone._supxlabel.get_text() == beta_sweep.stamp(classes)


def test_the_stamp_names_small_scale_and_paper_scale(small_sets, tiny):
    keys = {"dataset": "CIFAR-10", "data_root": small_sets, "test_size": 20, "val_size": 20, "num_epochs": 1}
    small = jointens.run(tiny(**keys, base_learner="CNN", seeds=[0]), progress=False)
    assert beta_sweep.stamp(small).startswith("small-scale results · CIFAR-10, 64 training examples · CNN, M = 2")
    assert " · cpu · " in beta_sweep.stamp(small)


def test_the_stamp_names_a_precision_other_than_float32(tiny):
    assert " · cpu in bfloat16 · " in beta_sweep.stamp(jointens.run(tiny(precision="bfloat16"), progress=False))


def test_the_stamp_names_the_seeds_that_are_there(tiny):
    experiment = tiny(seeds=[0, 1, 2], beta_vals=[0, 1])
    jointens.run(dataclasses.replace(experiment, seeds=[0, 2]), progress=False)
    jointens.run(dataclasses.replace(experiment, seeds=[1], beta_vals=[1]), progress=False)  # not whole: in no mean
    assert "seeds 0, 2 ·" in beta_sweep.stamp(jointens.Results(experiment))


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
