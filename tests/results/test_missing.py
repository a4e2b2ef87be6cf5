"""Training the cells that results/ lacks: in the order of its list, published at once, within the time given."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT
from upkeep import publish

import jointens
from jointens import InputError
from jointens.reports import published
from jointens.sweeps import stack
from jointens.training import Trainer


def cells(files):
    return [path.stem for path in files]


def test_missing_cells_are_trained_in_the_order_of_the_list_and_published_at_once(clone, tmp_path):
    out = str(tmp_path / "runs")
    found = publish.train_missing({"out": out, "device": "cpu"})
    first = next(found)
    assert first == clone.results.folder / "cells" / "beta=0,seed=0.json" and first.exists()
    assert [len(batch.missing) for batch in publish.batches()] == [1, 1, 3]
    assert cells(found) == ["beta=1,seed=0", "beta=0.5,seed=0", "beta=0,seed=1", "beta=0.5,seed=1", "beta=1,seed=1"]
    assert list(publish.train_missing({"out": out})) == []
    assert not [*Path(out).rglob("*.npz"), *Path(out).rglob("*.safetensors")]
    apart, together = (
        clone.results.records(),
        jointens.run(dataclasses.replace(clone.experiment, out=f"{out}2"), progress=False),
    )
    for one, other in zip(apart, together.records(), strict=True):
        assert one.history.val.ensemble == pytest.approx(other.history.val.ensemble, abs=1e-5)


@pytest.mark.parametrize(
    ("speed", "minutes", "done"),
    [(0.0, 1, 6), (20.0, 1, 2), (20.0, 2, 3), (1e6, 1, 0)],  # seconds an epoch, of two in a cell
)
def test_a_cell_that_would_not_be_finished_is_given_up(clone, tmp_path, monkeypatch, capsys, speed, minutes, done):
    now = [0.0]
    train = Trainer.train_steps

    def slow(self, batches):
        now[0] += speed
        return train(self, batches)

    monkeypatch.setattr(Trainer, "train_steps", slow)
    monkeypatch.setattr(stack.time, "monotonic", lambda: now[0])
    found = list(publish.train_missing({"out": str(tmp_path / "runs"), "device": "cpu"}, minutes=minutes))
    assert len(found) == len(clone.results.records()) == done
    gave_up = re.search(
        r"tiny-scores, beta=.*: given up after \d of 2 validations: \d+ s more are needed", capsys.readouterr().err
    )
    assert bool(gave_up) == (done < 6)


def test_what_is_too_slow_is_seen_before_its_end(monkeypatch):
    now, deadline = [0.0], stack.Deadline(10, 50.0)
    monkeypatch.setattr(stack.time, "monotonic", lambda: now[0])
    now[0] = 8.0  # the first epoch, in which a GPU is got ready, tells nothing of the others
    deadline.check(1)
    now[0] = 12.0
    deadline.check(2)
    now[0] = 18.0
    with pytest.raises(stack.OutOfTime, match="given up after 3 of 10 validations: 3 s more are needed"):  # 5 s each
        deadline.check(3)


def test_data_sets_that_are_not_here_are_passed_over(clone, tmp_path, monkeypatch, capsys):
    profile = published.profiles_root() / "other.yml"
    profile.write_text(published.profiles_root().joinpath("tiny.yml").read_text() + "dataset: diabetes\n")
    profile.write_text(profile.read_text().replace("train_size: 64\n", ""))
    monkeypatch.setattr(published, "PANELS", ("other", "tiny"))
    load = publish.load_data

    def absent(experiment, seed):
        if experiment.dataset == "diabetes":
            raise InputError("diabetes cannot be read: it is not here")
        return load(experiment, seed)

    monkeypatch.setattr(publish, "load_data", absent)
    assert len(list(publish.train_missing({"out": str(tmp_path / "runs"), "device": "cpu"}))) == 6
    assert capsys.readouterr().err.count("publish.py: passed over: diabetes cannot be read: it is not here") == 1
    with pytest.raises(InputError, match="nothing that is missing can be trained here: diabetes cannot be read"):
        list(publish.train_missing({}))


def test_the_command_tells_each_file_and_at_last_the_folder(clone, tmp_path, capsys):
    assert publish.main(["--missing", "device=cpu", "--minutes", "5", f"out={tmp_path / 'runs'}"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert cells(map(Path, told[:2])) == ["beta=0,seed=0", "beta=1,seed=0"] and len(told) == 7
    assert told[-1] == str(tmp_path / "results")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--missing", "average=scores"], "average is fixed; free are data_root, download, device, stack, jobs,"),
        (["--missing", "seeds=[0]"], "seeds is fixed; free are "),
        (["--missing", "minutes=5"], "unknown key 'minutes'"),
        (["--missing", "data=x"], "unknown key 'data'; the nearest known one is 'dataset'"),
        (["--missing", "execution=graph", "device=cpu"], "execution is graph, which needs a GPU"),
        (["--missing", "runs/FOLDER"], "'runs/FOLDER' is no key=value"),
        (["--missing", "--list"], "not allowed with argument"),
        (["--missing", "--released", "x"], "unrecognized arguments: --released"),
        (["--missing", "--minutes", "0"], "'0' is no number of minutes above 0"),
        (["--missing", "--minutes", "soon"], "'soon' is no number of minutes above 0"),
        (["runs/FOLDER", "--minutes", "5"], "--minutes is for --missing"),
        (["--list", "runs/FOLDER"], "--list takes no words; given was runs/FOLDER"),
        (["--table", "runs/FOLDER"], "--table takes no words; given was runs/FOLDER"),
        (["runs/FOLDER", "tag=x"], "needed is one FOLDER, --missing, --list or --table; given was runs/FOLDER tag=x"),
        ([], "needed is one FOLDER, --missing, --list or --table; given was nothing"),
    ],
)
def test_what_is_wrong_is_one_line(clone, capsys, words, message):
    assert publish.main(words) == 2
    told = capsys.readouterr()
    assert message in told.err and told.err.startswith("publish.py: ") and told.err.count("\n") == 1 and not told.out
    assert not clone.results.folder.exists()


# ------------------------------------------------------------------------------------------------- the card's script


def card(folder, *arguments, **environment):
    command = ["bash", str(folder / "benchmarks" / "card.sh"), *map(str, arguments)]
    environment = {**os.environ, "PYTHON": sys.executable, "DEVICE": "cpu", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.realdata
def test_the_script_for_a_card_checks_measures_trains_and_packs(cifar10_root, tmp_path, shell):
    """On the CPU, in a copy of the repository outside git, whose panels are cut to two tiny cells for each average."""
    copy, out = tmp_path / "copy", tmp_path / "out"
    copy.mkdir()
    names = ["jointens", "benchmarks", "results", "notebooks/profiles", "pyproject.toml"]
    subprocess.run(["cp", "-r", "--parents", *names, str(copy)], cwd=ROOT, check=True)
    listed = copy / "jointens" / "reports" / "published.py"
    listed.write_text(listed.read_text().replace("        *SMALL,\n", ""))  # which a card trains first
    for name in published.PANELS:
        profile = copy / "notebooks" / "profiles" / f"{name}.yml"
        cut = {"base_learner": "CNN", "num_epochs": 2, "lr_switch": "[1]", "train_size": 100, "seeds": "[0]"}
        cut |= {"num_learners": "2", "precision": "float32"}  # bfloat16 takes minutes on a CPU that has to emulate it
        cut |= {"beta_vals": "[0, 1]", "dataset": "CIFAR-10" if name == "cifar10_resnet18" else "CIFAR-100"}
        text = profile.read_text() + "val_size: 50\ntest_size: 50\n"
        for key, value in cut.items():
            text = re.sub(rf"^{key}:.*$", f"{key}: {value}", text, flags=re.M)
        profile.write_text(text)
    tiny = [
        "--base-learner",
        "CNN",
        "--precision",
        "float32",
        "--train-size",
        "128",
        "--val-size",
        "50",
        "--rounds",
        "1",
        "--ways",
        "eager",
    ]
    done = card(copy, cifar10_root, 20, out, *tiny, JOINTENS_COMMIT="0123456789ab")
    assert done.returncode == 0, done.stdout + done.stderr
    for batch in (128, 512):
        told = (out / f"measured-{batch}.txt").read_text()
        assert "fastest: eager\n" in told and f"in batches of {batch};" in told and "the losses agree" in told
    assert "passed over: CIFAR-100 cannot be read" in done.stderr
    assert done.stdout.count("published: ") == 6  # two cells for each average
    assert {path.name for path in out.iterdir()} == {
        "measured-128.txt", "measured-512.txt", "training.log", "published.tar.gz"
    }  # fmt: skip
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    subprocess.run(["tar", "xzf", str(out / "published.tar.gz"), "-C", str(fresh)], check=True)
    records = [json.loads(path.read_text()) for path in fresh.glob("results/cifar10_resnet18-*/cells/*.json")]
    assert len(records) == 6
    assert {of["provenance"]["commit"] for of in records} == {"0123456789ab"}
    assert {of["provenance"]["execution"] for of in records} == {"eager"}
    (row,) = re.findall(r"^\| `cifar10_resnet18` .*$", (fresh / "results" / "README.md").read_text(), flags=re.M)
    assert row.endswith("| 6 | – |")
    again = card(copy, cifar10_root, 1, out, EXECUTION="eager")  # nothing is missing any more that can be trained here
    assert again.returncode == 2 and "nothing that is missing can be trained here: CIFAR-100" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "given were 0 arguments; needed are DATA_ROOT MINUTES OUT"),
        (("data", "soon", "out"), "MINUTES is 'soon'; allowed is a whole number above 0"),
        (("data", "0", "out"), "MINUTES is '0'; allowed is a whole number above 0"),
    ],
)
def test_the_script_for_a_card_tells_what_is_wrong_in_one_line(arguments, message, tmp_path):
    done = card(ROOT, *arguments)
    assert done.returncode == 2 and done.stderr == f"card.sh: {message}\n" and done.stdout == ""


@pytest.mark.parametrize(
    ("measured", "code", "trains"),
    [
        ("echo 'fastest: streams'", 0, "execution=streams"),
        ("echo 'fastest: streams'; exit 1", 1, "execution=streams"),  # the plain loop's losses differ, say
        ("echo 'fastest: none'; exit 1", 1, None),
        ("exit 137", 1, "execution=graph"),  # it broke off
        ("exit 2", 2, None),
    ],
)
def test_the_script_for_a_card_trains_unless_no_way_reaches_the_losses(tmp_path, measured, code, trains):
    """With a python that only says what it is asked for."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/bash\necho "$@" >>{tmp_path}/asked\ncase "$1" in *images.py) {measured} ;; esac\n')
    python.chmod(0o755)
    done = card(ROOT, tmp_path, 5, tmp_path / "out", PYTHON=str(python), BATCHES="128")
    assert done.returncode == code, done.stderr
    measuring, *training = (tmp_path / "asked").read_text().splitlines()
    assert "--device cpu --base-learner ResNet18 --precision bfloat16" in measuring and "--batch-size 128" in measuring
    assert len(training) == bool(trains)
    assert not trains or (
        trains in training[0] and f"data_root={tmp_path}" in training[0] and "--minutes" in training[0]
    )


def test_the_script_for_a_card_stops_where_there_is_no_data(tmp_path):
    done = card(ROOT, tmp_path, 1, tmp_path / "out")
    assert done.returncode == 2 and "images.py: CIFAR-10 cannot be read" in done.stderr
    assert not list((tmp_path / "out").glob("*.tar.gz"))
