"""What finished runs predict, and how sure they are of it: from stored outputs, or from weights and images."""

import shutil
import sys

import numpy as np
import pytest
import torch

import jointens
from jointens import Cell, Experiment, InputError, Results
from jointens.analysis.calibration import calibration_error, predictions


@pytest.fixture(scope="module")
def trained(toy_root, tmp_path_factory):
    """A convolutional net with batch-norm: only in evaluation mode does it predict as it was tested."""
    experiment = Experiment(
        dataset="toy-imagenet", base_learner="timm:test_resnet", image_size=32, num_learners=2, train_size=96,
        average="probabilities", val_size=48, batch_size=16, validate_every=2, num_epochs=1, measured_size=0, seeds=[0],
        beta_vals=[0, 1], learning_rate=0.1, device="cpu", data_root=str(toy_root),
        out=str(tmp_path_factory.mktemp("runs")),
    )  # fmt: skip
    return jointens.run(experiment, progress=False)


@pytest.fixture
def moved(trained, tmp_path):
    """The results in another place, which does not say where the images are; without some of the files."""

    def copy(*without):
        folder = shutil.copytree(trained.folder, tmp_path / "moved")
        for suffix in without:
            for file in folder.glob(f"cells/*{suffix}"):
                file.unlink()
        return Results.at(folder)

    return copy


def softmax(scores):
    powers = np.exp(scores.astype(float) - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def error_over_bins(probabilities, targets, bins=15):
    """Guo et al. (2017): the distance of accuracy and confidence in bins of equal width, weighted by their sizes."""
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == targets
    own = np.minimum((confidence * bins).astype(int), bins - 1)
    distances = [
        (own == number).mean() * abs(right[own == number].mean() - confidence[own == number].mean())
        for number in set(own.tolist())
    ]
    return sum(distances)


@pytest.mark.parametrize("cell", [Cell(0, 0), Cell(1, 0)])
def test_the_calibration_error_is_that_of_the_stored_outputs(trained, cell):
    stored = trained.outputs(cell)
    expected = error_over_bins(softmax(stored["test_outputs_best"]).mean(0), stored["test_targets"])
    assert calibration_error(trained, cell) == pytest.approx(expected, abs=1e-6) and expected > 0.001


def test_only_the_best_checkpoint_on_the_test_part_counts(moved):
    results, cell = moved(), Cell(1, 0)
    before, stored = calibration_error(results, cell), results.outputs(cell)
    others = {name: np.zeros_like(of) for name, of in stored.items() if not name.startswith(("test_o", "test_t"))}
    others["test_outputs_last"] = -stored["test_outputs_last"]
    np.savez(results.path(cell, ".npz"), **stored | others)
    assert calibration_error(results, cell) == before


@pytest.mark.parametrize("average", ["scores", "probabilities", "released"])
def test_it_is_of_the_probabilities_that_the_average_gives(tiny, average):
    results = jointens.run(tiny(average=average, seeds=[0], beta_vals=[0.5], learning_rate=0.5), progress=False)
    (cell,) = results.experiment.cells
    stored = results.outputs(cell)
    outputs = stored["test_outputs_best"]
    means = {"scores": softmax(outputs.mean(0))}.get(average, softmax(outputs).mean(0))
    expected = error_over_bins(means, stored["test_targets"])
    assert calibration_error(results, cell) == pytest.approx(expected, abs=1e-6) and expected > 0.01
    assert error_over_bins(softmax(softmax(outputs).mean(0)), stored["test_targets"]) != pytest.approx(expected)


def test_weights_and_images_give_what_was_stored(trained, moved, toy_root):
    results = moved(".npz")
    for cell in trained.experiment.cells:
        stored = trained.outputs(cell)
        parts = list(predictions(results, cell, data_root=toy_root, device="cpu"))
        outputs, targets = (
            torch.cat(of, dim=axis) for of, axis in zip(zip(*parts, strict=True), (-2, -1), strict=True)
        )
        assert outputs.shape == (2, 48, 12) and torch.equal(targets, torch.from_numpy(stored["test_targets"]))
        assert torch.allclose(outputs, torch.from_numpy(stored["test_outputs_best"]), atol=1e-5)
        error = calibration_error(results, cell, data_root=toy_root, device="cpu")
        assert error == pytest.approx(calibration_error(trained, cell), abs=1e-6)
    assert calibration_error(trained, Cell(0, 0)) != pytest.approx(calibration_error(trained, Cell(1, 0)), abs=1e-4)


def test_without_a_folder_the_images_are_where_the_experiment_says(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "copy")
    (tmp_path / "copy" / "cells" / "beta=1,seed=0.npz").unlink()
    results = Results(trained.experiment, tmp_path / "copy")
    error = calibration_error(results, Cell(1, 0), device="cpu")
    assert error == pytest.approx(calibration_error(trained, Cell(1, 0)), abs=1e-6)


def test_stored_outputs_need_no_images(moved, tmp_path):
    (tmp_path / "a file").write_text("")
    results = moved(".safetensors")
    assert calibration_error(results, Cell(0, 0), data_root=tmp_path / "a file") > 0


def test_without_outputs_and_weights_there_is_no_prediction(moved):
    results = moved(".npz", ".safetensors")
    with pytest.raises(InputError, match="holds no weights of beta=0,seed=0") as told:
        calibration_error(results, Cell(0, 0))
    assert "\n" not in str(told.value)


def test_without_outputs_and_images_there_is_no_prediction(moved, tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(InputError, match=r"cannot draw toy-imagenet in .*a file"):
        calibration_error(moved(".npz"), Cell(0, 0), data_root=tmp_path / "a file", device="cpu")


def test_a_cell_that_is_not_there_has_no_prediction(trained):
    with pytest.raises(InputError, match=r"holds no cell beta=0\.5,seed=0"):
        calibration_error(trained, Cell(0.5, 0))


def test_a_regression_has_none(tiny):
    results = jointens.run(tiny(dataset="diabetes", seeds=[0], beta_vals=[0]), progress=False)
    with pytest.raises(InputError) as told:
        calibration_error(results, Cell(0, 0))
    assert str(told.value) == f"{results.folder} is trained on squared_error; calibration is of classification"


def test_a_single_logit_is_that_of_two_classes(tiny):
    """Stored outputs (M, N, 1): the probability of class 1 is 1 / (1 + e^-z), and the confidence is above a half."""
    results = jointens.run(tiny(seeds=[0], beta_vals=[0]), progress=False)
    chance = np.random.default_rng(0)
    z, classes = 2 * chance.normal(size=(3, 500, 1)).astype("float32"), chance.integers(2, size=500)
    stored = results.outputs(Cell(0, 0)) | {"test_outputs_best": z, "test_targets": classes}
    np.savez(results.path(Cell(0, 0), ".npz"), **stored)
    p = 1 / (1 + np.exp(-z.mean(0)))
    expected = error_over_bins(np.concatenate([1 - p, p], -1), classes)
    assert calibration_error(results, Cell(0, 0)) == pytest.approx(expected, abs=1e-6) and expected > 0.1


def test_without_torchmetrics_it_is_one_line(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.classification", None)
    with pytest.raises(InputError, match="needs the package torchmetrics"):
        calibration_error(trained, Cell(0, 0))
