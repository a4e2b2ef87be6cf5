"""The authors' files of regression ensembles: what we write, and what is read of theirs, oddities among it."""

import json
import math
import shutil

import numpy as np
import pytest

import jointens
from jointens import Cell, Experiment, InputError, Results
from jointens.authors import convert, read_outputs
from jointens.authors.outputs import KEYS
from jointens.cli import main


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    small = {"hidden": [8], "num_learners": 3, "num_epochs": 2, "beta_vals": [1, 0.5], "seeds": [3, 0]}
    out = str(tmp_path_factory.mktemp("runs"))
    return jointens.run(Experiment(dataset="diabetes", device="cpu", out=out, **small), progress=False)


# ---- what we write


def test_two_files_whose_keys_and_shapes_are_theirs(sweep, tmp_path):
    there = convert(sweep.folder, tmp_path / "there")
    assert {path.name for path in there.iterdir()} == {
        "deep_ensemble_diabetes_best.json", "deep_ensemble_diabetes_last.json",
    }  # fmt: skip
    for checkpoint in ("best", "last"):
        told = json.loads((there / f"deep_ensemble_diabetes_{checkpoint}.json").read_text())
        assert set(told) == {"0", "3"}
        for seed, run in told.items():
            assert set(run) == set(KEYS) and run["beta"] == [0.5, 1.0]
            outputs, targets = np.array(run["ind_preds"]), np.array(run["targets"])
            assert outputs.shape == (2, 89, 3, 1) and targets.shape == (2, 89)
            for at, beta in enumerate(run["beta"]):
                stored, test = sweep.outputs(Cell(beta, int(seed))), sweep.read(Cell(beta, int(seed))).test
                expected = stored[f"test_outputs_{checkpoint}"].swapaxes(0, 1)
                np.testing.assert_array_equal(outputs[at].astype("float32"), expected)
                np.testing.assert_array_equal(targets[at].astype("float32"), stored["test_targets"])
                losses = [run[name][at] for name in ("ens_loss", "div_loss", "w_ind_loss")]
                assert losses == [getattr(test[checkpoint], name) for name in ("ensemble", "diversity", "individual")]
                mean = outputs[at].mean(1)
                computed = [
                    ((mean[:, 0] - targets[at]) ** 2).mean(),
                    ((outputs[at] - mean[:, None]) ** 2).mean(),
                    ((outputs[at, ..., 0] - targets[at, :, None]) ** 2).mean(),
                ]
                assert losses == pytest.approx(computed, rel=1e-5)


def test_numbers_are_the_shortest_that_name_them(sweep, tmp_path):
    text = (convert(sweep.folder, tmp_path / "there") / "deep_ensemble_diabetes_best.json").read_text()
    numbers = json.loads(text)["0"]["ind_preds"][0][0]
    assert [value for (value,) in numbers] == [float(str(np.float32(value))) for (value,) in numbers]
    assert "e+" not in text and "NaN" not in text


def test_a_seed_that_lacks_outputs_is_refused_and_nothing_is_written(sweep, tmp_path):
    copy = Results.at(shutil.copytree(sweep.folder, tmp_path / "copy"))
    copy.path(Cell(0.5, 3), ".npz").unlink()
    told = f"{copy.folder} lacks the outputs of beta=0.5,seed=3; the authors' format has them for every seed and β"
    with pytest.raises(InputError) as error:
        convert(copy.folder, tmp_path / "out")
    assert str(error.value) == told
    copy.path(Cell(0.5, 3)).unlink()
    with pytest.raises(InputError, match=r"lacks the outputs of beta=0\.5,seed=3"):
        convert(copy.folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_sweep_with_a_cell_that_diverged_is_refused_by_name(tmp_path):
    small = {"hidden": [8], "num_learners": 2, "num_epochs": 2, "beta_vals": [0, 1e30], "seeds": [0]}
    results = jointens.run(Experiment(dataset="diabetes", device="cpu", out=str(tmp_path), **small), progress=False)
    with pytest.raises(
        InputError, match=r"lacks the outputs of beta=1e\+30,seed=0, which diverged; the authors' format"
    ):
        convert(results.folder, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_from_the_command_line(sweep, tmp_path, capsys):
    assert main(["convert", str(sweep.folder), str(tmp_path / "there")]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "there")]
    assert main(["convert", str(tmp_path / "there"), str(tmp_path / "back")]) == 2  # there is nothing but outputs
    told = capsys.readouterr()
    assert "is no results folder" in told.err and told.err.count("\n") == 1


# ---- what is read

OUTPUTS = np.random.default_rng(0).normal(size=(2, 4, 3, 1)).tolist()  # (β, N, M, 1)
RUN = {
    "beta": [0.0, 1.0], "ens_loss": [1.0, 0.5], "div_loss": [0.25, 2], "w_ind_loss": [1.25, 2.5],
    "targets": [[1.0, 2.0, 3.0, 4.0]] * 2, "ind_preds": OUTPUTS,
}  # fmt: skip


def written(folder, content):
    file = folder / "deep_ensemble_theirs.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


@pytest.mark.parametrize(
    "targets",
    [
        [[1, 2, 3, 4], [1, 2, 3, 4]],
        [[1, 2, 3, 4]],
        [[[1.0], [2.0], [3.0], [4.0]], None],  # the first entry is used, as they do
        [[[1.0], [2.0], [3.0], [4.0]]] * 2,
        [[[1.0, 2.0, 3.0, 4.0]]],
    ],
)
def test_targets_of_any_of_their_shapes(tmp_path, targets):
    betas, found = read_outputs(written(tmp_path, {"run": RUN | {"targets": targets}}))
    outputs, read = found["run"]
    assert betas == (0.0, 1.0) and outputs.shape == (2, 3, 4, 1) and read.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(outputs, np.swapaxes(OUTPUTS, 1, 2))


def test_runs_keep_their_names_and_order_and_other_keys_are_no_matter(tmp_path):
    names = ["b", "a", "run 7", ""]
    file = written(tmp_path, {name: RUN | {"more": [None, math.nan]} for name in names})
    assert list(read_outputs(file)[1]) == names


def test_betas_keep_their_order_and_lose_their_rounding(tmp_path):
    betas, found = read_outputs(written(tmp_path, {"run": RUN | {"beta": [1, 0.1 + 0.2]}}))
    assert betas == (1.0, 0.3) and found["run"][0][0, 0, 0, 0] == OUTPUTS[0][0][0][0]


def without(name):
    return {key: value for key, value in RUN.items() if key != name}


FINITE = "is no list of 4 levels of finite numbers"
SHAPE = "allowed is (2, N, M, 1): β, test examples, learners"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, " holds no run"),
        ([RUN], " holds a list; allowed is an object of keys and values"),
        ("", " is not JSON: "),
        ('{"run": {"beta": [0', " is not JSON: "),
        ({"run": [1, 2]}, ", run 'run': is no object"),
        ({"run": None}, ", run 'run': is no object"),
        ({"one": RUN, "two\n": "RUN"}, ", run 'two\\n': is no object"),
        *(({"run": without(name)}, f", run 'run': {name} is missing") for name in KEYS),
        ({"run": RUN | {"beta": 0.5}}, ", run 'run': beta is no list of 1 levels of finite numbers"),
        ({"run": RUN | {"beta": []}}, ", run 'run': beta is no list of 1 levels of finite numbers"),
        ({"run": RUN | {"beta": ["a", "b"]}}, ", run 'run': beta is no list of 1 levels of finite numbers"),
        ({"run": RUN | {"beta": [0, 0]}}, ", run 'run': beta is [0.0, 0.0]; allowed is "),
        ({"one": RUN, "two": RUN | {"beta": [0, 0.5]}}, ", run 'two': beta is [0.0, 0.5]; allowed is [0.0, 1.0]"),
        ({"one": RUN, "two": RUN | {"beta": [1, 0]}}, ", run 'two': beta is [1.0, 0.0]; allowed is [0.0, 1.0]"),
        ({"run": RUN | {"ind_preds": OUTPUTS[0]}}, f", run 'run': ind_preds {FINITE}"),
        ({"run": RUN | {"ind_preds": OUTPUTS[:1]}}, f", run 'run': ind_preds has shape (1, 4, 3, 1); {SHAPE}"),
        ({"run": RUN | {"ind_preds": [[[[1, 2]]]] * 2}}, f", run 'run': ind_preds has shape (2, 1, 1, 2); {SHAPE}"),
        ({"run": RUN | {"ind_preds": [OUTPUTS[0], OUTPUTS[1][:2]]}}, f", run 'run': ind_preds {FINITE}"),
        ({"run": RUN | {"ind_preds": (np.array(OUTPUTS) * math.nan).tolist()}}, f", run 'run': ind_preds {FINITE}"),
        ({"run": RUN | {"ind_preds": "none"}}, f", run 'run': ind_preds {FINITE}"),
        ({"run": RUN | {"targets": [[1, 2, 3]]}}, ", run 'run': 3 targets for 4 test examples in ind_preds"),
        ({"run": RUN | {"targets": [1, 2, 3, 4]}}, ", run 'run': 1 targets for 4 test examples in ind_preds"),
        ({"run": RUN | {"targets": []}}, ", run 'run': the first entry of targets is no list of finite numbers"),
        ({"run": RUN | {"targets": [[1, 2, 3, None]]}}, ", run 'run': the first entry of targets is no list"),
        ({"run": RUN | {"targets": {"0": 1}}}, ", run 'run': the first entry of targets is no list"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_one_line(tmp_path, content, told, capsys):
    file = written(tmp_path, content)
    with pytest.raises(InputError) as error:
        read_outputs(file)
    assert str(error.value).startswith(f"{file}{told}")
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert main(["show", str(file)]) == 2
    assert capsys.readouterr().err == f"jointens: {error.value}\n"
