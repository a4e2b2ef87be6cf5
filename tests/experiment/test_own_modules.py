"""Data sets and learners of the user's own: trained, loaded again, part of the identity."""

import dataclasses
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from checkout import ROOT
from own_modules import COUNTED, OWN, SMALL, experiment

import jointens
from jointens import Experiment, InputError, Results, make_learner
from jointens.cli import main
from jointens.common.yaml_json import read_yaml
from jointens.data import known_dataset, load_data
from jointens.sweeps import make_ensemble, num_parameters, stack_size
from jointens.sweeps.build import load_data as load_data_of

# ---- trained


def test_both_are_trained_and_loaded_again(own, tmp_path, capsys):
    ours = experiment()
    assert (ours.sizes, ours.input_shape, ours.loss) == ((200, 50, 50), (2,), "cross_entropy")
    assert ours.about_data.num_outputs == 3 and ours.data_name == "my_module.blobs"
    assert ours.name == f"blobs-small_net-{ours.hash}"
    results = jointens.run(ours, progress=False)
    assert capsys.readouterr().err == (
        f"jointens: my_module.blobs: 200 training, 50 validation and 50 test examples from {tmp_path}/my_module.py; "
        "inputs of shape 2 as they are, targets are classes 0 to 2: cross_entropy\n"
    )
    assert len(results.tests()) == 8 and results.folder.name == ours.name
    ensemble = jointens.load(results.folder, beta=1, seed=1)
    outputs = torch.from_numpy(results.outputs(ours.cells[-1])["test_outputs_best"])
    torch.testing.assert_close(ensemble(load_data_of(ours, 1).test.inputs), outputs)
    again = Results.at(results.folder)
    assert again.experiment.hash == ours.hash and again.tests().equals(results.tests())


def test_from_the_command_line(own, tmp_path, capsys):
    (tmp_path / "profile.yml").write_text("".join(f"{key}: {value}\n" for key, value in {**OWN, **SMALL}.items()))
    assert main(["run", "profile.yml"]) == 0
    folder = capsys.readouterr().out.strip()
    saved = read_yaml((tmp_path / folder / "experiment.yml").read_text())
    assert saved["dataset"] == OWN["dataset"] and saved["content"] == saved["learner_source"] == known_source()
    assert main(["run", "profile.yml", "base_learner=import:my_module:nothing"]) == 2
    told = capsys.readouterr()
    assert told.err == f"jointens: import:my_module:nothing: {tmp_path}/my_module.py has no function nothing\n"


def known_source():
    return known_dataset(OWN["dataset"]).content


@pytest.mark.slow
def test_the_console_script_finds_modules_in_the_working_directory(own, tmp_path):
    (tmp_path / "profile.yml").write_text("".join(f"{key}: {value}\n" for key, value in {**OWN, **SMALL}.items()))
    script = tmp_path / "bin" / "jointens"  # whose folder stands on sys.path in place of the working directory
    script.parent.mkdir()
    script.write_text(f"import sys\nsys.path.append({str(ROOT)!r})\nfrom jointens.cli import entry\nentry()\n")
    done = subprocess.run([sys.executable, script, "run", "profile.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("runs/blobs-small_net-")


def test_a_regression_set_of_arrays_is_taken_as_it_is(own):
    own(
        "import numpy as np\n\n\ndef waves(seed):\n    rng = np.random.default_rng(seed)\n"
        "    x = rng.normal(size=(60, 1, 4))\n    y = x.sum((1, 2)) + seed\n"
        "    return [(x[:40], y[:40]), (x[40:50], y[40:50]), (x[50:], y[50:])]\n"
    )
    ours = experiment(dataset="import:my_module:waves", base_learner="MLP", hidden=[8], learning_rate=0.01)
    assert (ours.loss, ours.input_shape, ours.about_data.num_outputs) == ("squared_error", (1, 4), 1)
    data = load_data_of(ours, 1)
    assert data.val.inputs.dtype == data.val.targets.dtype == torch.float32
    expected = np.random.default_rng(1).normal(size=(60, 1, 4))[40:50]
    np.testing.assert_array_equal(data.val.inputs, expected.astype(np.float32))
    assert len(jointens.run(ours, progress=False).tests()) == 8
    with pytest.raises(
        InputError, match=r"^label_noise is 0.1; my_module.waves is a regression set and allows only 0$"
    ):
        dataclasses.replace(ours, label_noise=0.1)


def test_parts_are_cut_and_labels_are_redrawn_as_elsewhere(own):
    name = OWN["dataset"]
    full, cut = load_data(name, seed=3), load_data(name, seed=3, train_size=20, val_size=10, test_size=5)
    assert tuple(map(len, (cut.train, cut.val, cut.test))) == (20, 10, 5)
    assert torch.equal(cut.train.inputs, full.train.inputs[:20])  # the first of the shuffled ones
    rows = [full.test.inputs.eq(one).all(-1).nonzero().item() for one in cut.test.inputs]
    assert rows == sorted(rows) and len(set(rows)) == 5
    noisy = load_data(name, seed=3, label_noise=0.5, train_size=20)
    assert torch.equal(noisy.train.inputs, cut.train.inputs) and torch.equal(noisy.test.targets, full.test.targets)
    assert 1 <= (noisy.train.targets != cut.train.targets).sum() <= 15
    assert (noisy.val.targets != full.val.targets).any()
    assert torch.equal(noisy.train.targets, load_data(name, seed=3, label_noise=0.5).train.targets[:20])
    with pytest.raises(InputError, match=r"^train_size is 201; allowed for my_module.blobs is 1\.\.200$"):
        experiment(train_size=201)


def test_training_examples_are_shuffled_and_others_keep_their_order(own):
    data = load_data(OWN["dataset"], seed=0)
    train, val, test = sys.modules["my_module"].blobs(0)
    assert torch.equal(data.val.inputs, val[0]) and torch.equal(data.test.targets, test[1])
    assert not torch.equal(data.train.inputs, train[0])
    assert torch.equal(data.train.inputs.sort(0).values, train[0].sort(0).values)
    data.test.targets[:] = 0
    data.test.inputs[:] = 0
    assert torch.equal(load_data(OWN["dataset"], seed=0).test.inputs, test[0])


def test_the_function_is_called_once_for_each_seed(own):
    own(COUNTED)
    ours = experiment(dataset="import:my_module:counted")
    calls = sys.modules["my_module"].CALLS
    assert calls == [0] and ours.sizes and ours.hash and ours.identity() and ours.steps_per_epoch
    jointens.run(ours, progress=False)
    assert calls == [0, 1]


def test_a_stream_that_is_not_seeded_follows_from_the_seed_too(own):
    own("\n\ndef drawn(seed):\n    return tuple((torch.randn(9, 2), torch.arange(9) % 2) for _ in range(3))\n")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = load_data("import:my_module:drawn", seed=1).test.inputs
    assert torch.equal(torch.get_rng_state(), before)
    own("\n\n\ndef drawn(seed):\n    return tuple((torch.randn(9, 2), torch.arange(9) % 2) for _ in range(3))\n")
    assert torch.equal(load_data("import:my_module:drawn", seed=1).test.inputs, first)


# ---- learners


def test_weights_come_from_the_global_generator(own):
    first, second, other = (make_ensemble(experiment(), [seed]).weights() for seed in (0, 0, 1))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert not torch.equal(first["0.weight"][0, 0], first["0.weight"][0, 1])
    learner = make_learner(OWN["base_learner"], (5,), 4)
    assert learner(torch.zeros(3, 5)).shape == (3, 4)
    assert num_parameters(experiment()) == 2 * (2 * 16 + 16 + 16 * 3 + 3)


def test_a_learner_that_cannot_be_made_without_weights_is_tried_for_real(own):
    own(
        "class Odd(nn.Linear):\n    def __init__(self, *sizes):\n        super().__init__(*sizes)\n"
        "        self.scale = self.weight.abs().max().item()\n\n\n"
        "def odd(input_shape, num_outputs):\n    return Odd(input_shape[0], num_outputs)\n"
    )
    torch.manual_seed(5)
    before = torch.get_rng_state()
    ours = experiment(base_learner="import:my_module:odd")
    assert num_parameters(ours) == 2 * 9 and stack_size(ours) == 1  # a class of one's own is looped
    assert torch.equal(torch.get_rng_state(), before)
    body = "return nn.Linear(input_shape[0], num_outputs, bias=bool(torch.rand(1).item()))"
    own(f"def wide(input_shape, num_outputs):\n    {body}\n")
    assert experiment(base_learner="import:my_module:wide").name.startswith("blobs-wide-")


# ---- identity


LINEAR = "def linear(input_shape, num_outputs):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_outputs{}))\n"
CHANGED = "has changed since this experiment was made; make it anew"


def test_what_is_the_users_own_is_part_of_the_identity_and_else_nothing_is(own):
    both, data_only = experiment(), experiment(base_learner="MLP")
    hashes = {both.hash, data_only.hash, Experiment().hash}
    assert "learner_source" not in data_only.identity()
    assert not {"content", "learner_source"} & Experiment().identity().keys()
    own(LINEAR.format(""))
    learner_only = experiment(dataset="digits", base_learner="import:my_module:linear")
    assert "content" not in learner_only.identity() and len(hashes | {learner_only.hash}) == 4


def test_an_edited_source_is_another_experiment(own, tmp_path):
    ours = experiment()
    results, first = jointens.run(ours, progress=False), ours.hash
    own(replace=("+ 3.0 *", "+ 4.0 *"))  # of the same length, within the same second
    with pytest.raises(InputError, match=f"^my_module.blobs {CHANGED}$"):
        jointens.run(ours, progress=False)
    edited = experiment()
    assert edited.hash != first
    assert load_data_of(edited, 0).test.inputs.max() > 9  # class 2 lies around 8, and not around 6
    with pytest.raises(InputError, match=r"holds another experiment: content .* there, .* here; choose another tag$"):
        jointens.run(experiment(tag=results.folder.name), progress=False)
    folder, path = tmp_path / results.folder, tmp_path / "my_module.py"
    with pytest.raises(InputError, match=f"^{folder} was trained with {path}, which has changed since: .* then"):
        Results.at(folder)
    path.unlink()
    with pytest.raises(InputError, match=f"^{folder} was trained with import:my_module:blobs: no module my_module in "):
        jointens.load(folder, beta=1, seed=1)
    own()
    assert Results.at(folder).experiment.hash == first


def test_a_changed_learner_is_found(own):
    own(LINEAR.format(""))
    ours = experiment(dataset="digits", base_learner="import:my_module:linear")
    assert num_parameters(ours) == 2 * 650
    own(LINEAR.format(", False"))
    with pytest.raises(InputError, match=f"^my_module.linear {CHANGED}$"):
        make_ensemble(ours)
    assert num_parameters(dataclasses.replace(ours)) == 2 * 640


def test_a_source_that_no_longer_works_is_refused_with_the_folder(own, tmp_path, monkeypatch):
    (tmp_path / "helper.py").write_text("SIZE = 3.0\n")
    own(replace=("import torch\n", "import torch\nimport helper\n"))
    results = jointens.run(experiment(), progress=False)
    (tmp_path / "helper.py").unlink()
    for module in ("helper", "my_module"):
        monkeypatch.delitem(sys.modules, module)
    message = (
        f"^{tmp_path / results.folder} was trained with import:my_module:blobs: my_module cannot be imported: "
        r"ModuleNotFoundError: No module named 'helper' \(my_module.py, line \d+\)$"
    )
    with pytest.raises(InputError, match=message):
        Results.at(tmp_path / results.folder)


def test_a_module_goes_by_its_name_wherever_it_lies(own, tmp_path, monkeypatch):
    ours = experiment()
    package = tmp_path / "elsewhere" / "pack"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    shutil.copy(tmp_path / "my_module.py", package)
    monkeypatch.syspath_prepend(package.parent)
    inside = {key: name.replace("import:", "import:pack.") for key, name in OWN.items()}
    moved = experiment(**inside)
    assert moved.hash == ours.hash and moved.name == ours.name
    jointens.run(moved, progress=False)
    assert len(Results(ours).tests()) == 8  # the same folder


def test_a_module_that_was_imported_before_is_used_as_it_is(own):
    import my_module

    assert known_dataset(OWN["dataset"]).content and sys.modules["my_module"].blobs(0) is not None
    os.utime(my_module.__file__, (1, 1))  # not edited since this process began
    module = sys.modules["my_module"]
    experiment()
    assert sys.modules["my_module"] is module
