"""The ImageNet chapter's figures: what is drawn is what the frames say, of cells in training, too."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from in_training import in_training
from torchvision.io import decode_image

from jointens import Cell, Experiment, Results
from jointens.data import evaluation_transform
from jointens.reports import beta_sweep, imagenet, style
from jointens.sweeps import load_data

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")  # image_files.py: why
BETAS = (0, 1)
STEPS = [2, 4, 6, 8, 10, 12]


@pytest.fixture
def trained(toy_run):
    """Two seeds, of which a figure shows one, and a β that is no end."""
    return toy_run


@pytest.fixture
def unfinished(trained, tmp_path):
    """The results as they are while these cells are trained."""
    return lambda *cells, validations=6: in_training(trained, tmp_path / "run", *cells, validations=validations)


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def points(line):
    return [np.asarray(values, dtype=float).tolist() for values in line.get_data()]


# ---- losses


def losses_are_drawn(figure, results, *, validations=None):
    """Check that both panels show the history, the joint one as far as it has come."""
    history = results.history()
    assert [axes.get_title() for axes in figure.axes] == ["β = 0, independent", "β = 1, joint"]
    for beta, axes in zip(BETAS, figure.axes, strict=True):
        number = validations if beta == 1 else None
        assert axes.get_xlabel() == "training step" and axes.get_yscale() == "log"
        drawn, expected = lines(axes), {}
        for split, name in {"val": "validation", "train": "training"}.items():
            rows = history[(history["beta"] == beta) & (history["seed"] == 1) & (history["split"] == split)]
            for loss in ("individual", "ensemble", "diversity"):
                expected[f"{loss}, {name}"] = [STEPS[:number], rows[loss].tolist()[:number]]
        assert {label: points(line) for label, line in drawn.items()} == expected
        colours = {label: (line.get_color(), line.get_linestyle()) for label, line in drawn.items()}
        assert len(set(colours.values())) == 6  # or they could not be told apart
    return True


def test_losses_are_those_of_the_history(trained):
    figure = imagenet.losses(trained, seed=1)
    assert losses_are_drawn(figure, trained)
    assert figure.axes[0].get_shared_y_axes().joined(*figure.axes)
    assert len(figure.legends[0].get_texts()) == 6
    assert figure._supxlabel.get_text() == style.stamp(trained, [1]) and "seed 1 ·" in style.stamp(trained, [1])


@pytest.mark.parametrize("validations", [1, 4])
def test_losses_of_a_cell_in_training_are_drawn_as_far_as_it_has_come(trained, unfinished, validations):
    results = unfinished(Cell(1, 1), validations=validations)
    assert losses_are_drawn(imagenet.losses(results, seed=1), trained, validations=validations)


def test_losses_of_the_first_cell_in_training_stand_alone(unfinished, trained):
    """Nothing is finished yet, and of joint training there is nothing at all."""
    results = unfinished(*trained.experiment.cells)
    results.unfinished_path(Cell(1, 1)).unlink()
    figure = imagenet.losses(results, seed=1)
    independent, joint = figure.axes
    assert len(independent.get_lines()) == 6 and not joint.get_lines() and joint.get_title() == "β = 1, joint"
    assert " · cpu · " in figure._supxlabel.get_text()


def test_losses_without_training_metrics_are_those_of_validation(unfinished, trained):
    """As those of the authors' code, or with measured_size 0."""
    results = unfinished()
    for file in results.folder.glob("cells/*.json"):
        record = json.loads(file.read_text())
        del record["history"]["train"]
        file.write_text(json.dumps(record))
    for axes in imagenet.losses(results, seed=0).axes:
        assert list(lines(axes)) == ["individual, validation", "ensemble, validation", "diversity, validation"]


# ---- training curves


def curves_are_drawn(figure, results, *, validations=None):
    history, learners = results.history(), results.learner_history()
    assert [axes.get_title() for axes in figure.axes] == ["β = 0, independent", "β = 1, joint"]
    for beta, axes in zip(BETAS, figure.axes, strict=True):
        number = validations if beta == 1 else None
        assert axes.get_xlabel() == "training step"
        own = history[(history["beta"] == beta) & (history["seed"] == 1) & (history["split"] == "val")]
        rows = learners[(learners["beta"] == beta) & (learners["seed"] == 1) & (learners["split"] == "val")]
        of_each = [rows[rows["learner"] == learner]["accuracy"].tolist() for learner in range(3)]
        *each, ensemble = axes.get_lines()
        assert [points(line) for line in each] == [
            [STEPS[:number], [100 * value for value in values[:number]]] for values in of_each
        ]
        assert points(ensemble) == [STEPS[:number], [100 * value for value in own["accuracy"].tolist()[:number]]]
        assert ensemble.get_color() == style.ENSEMBLE_COLOUR != each[0].get_color()
    return True


def test_training_curves_have_a_line_for_each_learner_and_the_ensemble(trained):
    figure = beta_sweep.training_curves(trained, seed=1)
    assert curves_are_drawn(figure, trained)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["base learners", "ensemble"]
    assert figure.axes[0].get_ylabel() == "validation accuracy, %"


def test_training_curves_of_a_cell_in_training_are_drawn_as_far_as_it_has_come(trained, unfinished):
    results = unfinished(Cell(1, 1), validations=4)
    assert curves_are_drawn(beta_sweep.training_curves(results, seed=1), trained, validations=4)


def test_results_that_are_opened_while_they_are_trained_have_both_panels(trained, unfinished):
    """As the chapter opens what is saved: of the folder alone, which names its β by its files."""
    folder = unfinished(Cell(1, 0), Cell(1, 1), validations=4).folder
    shutil.rmtree(folder / "cells")
    (folder / "cells").mkdir()
    for file in trained.folder.glob("cells/beta=0,*.json"):
        shutil.copy(file, folder / "cells")
    results = Results.at(folder)
    assert beta_sweep.ends(results) == [0, 1]
    assert losses_are_drawn(imagenet.losses(results, seed=1), trained, validations=4)
    assert curves_are_drawn(beta_sweep.training_curves(results, seed=1), trained, validations=4)


# ---- pictures


def pictures_in(axes):
    return [np.asarray(place.images[0].get_array()) for place in axes]


def test_pictures_are_images_of_validation_above_and_of_training_below(trained, toy_root):
    experiment = trained.experiment
    figure = imagenet.pictures(experiment, columns=4)
    above, below = (pictures_in(figure.axes[row : row + 4]) for row in (0, 4))
    val = load_data(experiment, 0).val
    show = evaluation_transform(32)
    for row, shown in zip((0, 15, 31, 47), above, strict=True):  # evenly from the first to the last
        assert np.array_equal(shown, show(decode_image(str(val.path(row)))).permute(1, 2, 0))
    assert {picture.shape for picture in below} == {(32, 32, 3)} and {picture.dtype.name for picture in below} == {
        "uint8"
    }
    assert len({picture.tobytes() for picture in above + below}) == 8
    assert [figure.axes[at].get_title(loc="left") for at in (0, 4)] == ["validation images", "training images"]
    assert not any(axes.axison for axes in figure.axes)
    assert figure._supxlabel.get_text() == "toy-imagenet, 32×32 pixels"


def test_pictures_below_are_cropped_at_random_as_training_sees_them(trained):
    """The same at each call, others for another seed; not the centres that validation would show."""
    experiment = trained.experiment
    first, again, other = (
        pictures_in(imagenet.pictures(of).axes[6:])
        for of in (experiment, experiment, dataclasses.replace(experiment, seeds=[1]))
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    train, show = load_data(experiment, 0).train, evaluation_transform(32)
    centres = {show(decode_image(str(train.path(row)))).permute(1, 2, 0).numpy().tobytes() for row in range(len(train))}
    assert not centres & {picture.tobytes() for picture in first}


@pytest.mark.parametrize("keys", [{"workers": 2}, {"batch_size": 1}, {"batch_size": 96, "validate_every": 1}])
def test_how_a_run_reads_its_images_changes_no_picture(trained, keys):
    usual, own = (
        pictures_in(imagenet.pictures(of, columns=3).axes)
        for of in (trained.experiment, dataclasses.replace(trained.experiment, **{"validate_every": None} | keys))
    )
    assert np.array_equal(usual, own)


def test_pictures_leave_the_random_stream_alone(trained):
    before = torch.get_rng_state()
    imagenet.pictures(trained.experiment, columns=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_images_the_figure_says_so(tmp_path):
    experiment = Experiment(dataset="ImageNet", base_learner="ResNet18_IN", data_root=str(tmp_path), device="cpu")
    figure = imagenet.pictures(experiment)
    told = figure._supxlabel.get_text()
    assert told.startswith("no images to show: ") and str(tmp_path) in told
    assert not any(axes.images or axes.axison for axes in figure.axes)


def test_with_a_damaged_image_the_figure_says_so(trained, toy_root, tmp_path):
    shutil.copytree(toy_root / "toy-imagenet", tmp_path / "toy-imagenet")
    experiment = dataclasses.replace(trained.experiment, data_root=str(tmp_path))
    load_data(experiment, 0).val.path(0).write_bytes(b"no image")
    figure = imagenet.pictures(experiment)
    assert figure._supxlabel.get_text().startswith("no images to show: ") and not figure.axes[0].images
    assert "damaged" in figure._supxlabel.get_text()
