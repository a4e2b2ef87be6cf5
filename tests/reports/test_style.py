"""The line below a figure: where its numbers come from, and how near they are to the paper's."""

import dataclasses
import io
import re

import matplotlib
import pytest

import jointens
from jointens import Experiment
from jointens.reports import beta_sweep, style
from jointens.reports.style import AUTHORS, SCALES


def test_the_stamp_tells_where_numbers_come_from(tiny):
    results = jointens.run(tiny(seeds=[0, 1, 4], label_noise=0.2), progress=False)
    assert style.stamp(results) == (
        "quick results · digits, 64 training examples, 20% label noise · MLP, M = 2, score averaging · "
        f"seeds 0–1, 4 · cpu · experiment {results.experiment.hash}"
    )


def test_the_stamp_names_small_scale_and_paper_scale(small_sets, tiny):
    keys = {"dataset": "CIFAR-10", "data_root": small_sets, "test_size": 20, "val_size": 20, "num_epochs": 1}
    small = jointens.run(tiny(**keys, base_learner="CNN", seeds=[0]), progress=False)
    assert style.stamp(small).startswith("small-scale results · CIFAR-10, 64 training examples · CNN, M = 2")
    assert " · cpu · " in style.stamp(small)


def test_the_stamp_names_a_precision_other_than_float32(tiny):
    assert " · cpu in bfloat16 · " in style.stamp(jointens.run(tiny(precision="bfloat16"), progress=False))


def test_the_stamp_names_the_seeds_that_are_there(tiny):
    experiment = tiny(seeds=[0, 1, 2], beta_vals=[0, 1])
    jointens.run(dataclasses.replace(experiment, seeds=[0, 2]), progress=False)
    jointens.run(dataclasses.replace(experiment, seeds=[1], beta_vals=[1]), progress=False)  # not whole: in no mean
    assert "seeds 0, 2 ·" in style.stamp(jointens.Results(experiment))


def test_the_stamp_of_many_lists_what_differs(tiny):
    settings = [{}, {"train_size": 32, "label_noise": 0.5}, {"hidden": [4]}]
    sweeps = [jointens.run(tiny(seeds=[0], num_epochs=1, **keys), progress=False) for keys in settings]
    told = style.stamp_of_many(sweeps, [0])
    assert "digits, 32, 64 training examples, 0%, 50% label noise · MLP, M = 2, score averaging · seed 0" in told
    assert told.endswith("3 experiments")


@pytest.mark.parametrize(
    ("keys", "scale"),
    [
        ({}, "quick"),
        ({"dataset": "abalone"}, "other"),
        ({"dataset": "abalone", "train_size": 100}, "small"),
        ({"dataset": "abalone", **AUTHORS}, "other"),
        ({"dataset": "CIFAR-10", "base_learner": "CNN"}, "small"),
        ({"dataset": "CIFAR-10", "base_learner": "ResNet18", "train_size": 10_000}, "small"),
        ({"dataset": "CIFAR-10", "base_learner": "ResNet18"}, "other"),
        ({"dataset": "SVHN", "base_learner": "ResNet18", **AUTHORS}, "authors"),
        ({"dataset": "SVHN", "base_learner": "ResNet18", **AUTHORS, "average": "released"}, "authors"),
        ({"dataset": "SVHN", "base_learner": "ResNet18", **AUTHORS, "num_epochs": 79}, "other"),
    ],
)
def test_results_are_named_by_their_scale(keys, scale):
    assert style.scale_of(Experiment(**keys)) == scale and scale in SCALES


def test_a_table_of_the_users_own_is_named_as_such(tmp_path):
    (tmp_path / "mine.csv").write_text("a,y\n" + "".join(f"{n},{n % 7}\n" for n in range(60)))
    experiment = Experiment(dataset=f"csv:{tmp_path / 'mine.csv'}", target="y")
    assert style.scale_of(experiment) == "own"


@pytest.mark.parametrize("name", ["prices $US_$CAD.csv", "$5 and $6.csv"])
def test_dollar_signs_in_a_files_name_are_no_mathematics(name, tiny, tmp_path):
    """Two of them are either a formula or, as in the first name, a ParseSyntaxException."""
    (tmp_path / name).write_text("a,y\n" + "".join(f"{n * n},{n % 7}\n" for n in range(60)))
    experiment = tiny(dataset=f"csv:{tmp_path / name}", target="y", train_size=None, learning_rate=0.01)
    results = jointens.run(experiment, progress=False)
    for draw in (beta_sweep.sweep, beta_sweep.train_against_test):
        drawn = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none"}):  # texts stay texts
            draw(results).savefig(drawn, format="svg")
        texts = re.sub("<!--.*?-->", "", drawn.getvalue(), flags=re.S)
        assert f" · {name}, 36 training examples · " in texts


def test_a_long_stamp_is_two_lines_of_the_same_parts(tiny, monkeypatch):
    results = jointens.run(tiny(), progress=False)
    line = style.stamp(results)
    assert "\n" not in line
    monkeypatch.setattr(style, "STAMP_LENGTH", len(line) - 1)
    first, second = style.stamp(results).split("\n")
    assert first and second and f"{first} · {second}" == line
