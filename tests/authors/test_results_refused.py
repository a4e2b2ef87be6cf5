"""Results that cannot be converted, and what a failure leaves behind."""

import re

import pytest
from authors import shipped, values
from authors_table import theirs

import jointens
from jointens import InputError, Results
from jointens.authors import convert
from jointens.cli import main

# ---- what is refused, and what is left behind


def test_convert_overwrites_nothing(tiny, tmp_path, monkeypatch):
    source = theirs(tmp_path / "source")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for out in (tmp_path / "full", tmp_path / "full" / "mine.txt", source):
        with pytest.raises(InputError, match="is there already; allowed is a folder that is new or empty"):
            convert(source, out)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert len(Results.at(convert(source, ".")).records()) == 4 and (tmp_path / "empty" / "experiment.yml").exists()
    assert len(Results.at(convert(source, tmp_path / "new" / "deep")).records()) == 4


def test_a_failure_leaves_nothing(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Results, "write_csv", full)
    source = theirs(tmp_path / "source")
    with pytest.raises(InputError, match=r"cannot convert .*source to .*ours: No space left on device"):
        convert(source, tmp_path / "ours")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_what_cannot_be_converted(tiny, tmp_path):
    ours = jointens.run(tiny(seeds=[0], beta_vals=[0]), progress=False)
    regression = tiny(dataset="diabetes", seeds=[0], beta_vals=[0], store_outputs=False)
    regression = jointens.run(regression, progress=False)
    started = Results(tiny(num_epochs=9))
    started.prepare()
    for source, keys, message in (
        (tmp_path, {}, "is no results folder: it holds neither experiment.yml and cells (ours) nor experiment.json"),
        (tmp_path / "none", {}, "is no results folder"),
        (ours.folder, {"average": "released"}, "is jointens' own and knows its keys; given was average"),
        (regression.folder, {}, "lacks the outputs of beta=0,seed=0; the authors' format has them for every"),
        (started.folder, {}, "holds no finished cell"),
        (theirs(tmp_path / "asks", configuration=shipped()), {}, "probs is false, which has two meanings"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=re.escape(message)):
            convert(source, tmp_path / "out", **keys)
    assert not (tmp_path / "out").exists()


# ---- the command line


def test_finished_results_are_not_renamed(tiny, tmp_path):
    there = convert(jointens.run(tiny(seeds=[0]), progress=False).folder, tmp_path / "there")
    asks = theirs(tmp_path / "asks", configuration=shipped(num_learners=2, num_epochs=3, lr_switch=[1]))
    for source, keys in (
        (there, {"average": "probabilities"}),
        (there, {"learning_rate": 5}),
        (asks, {"learning_rate": 5, "average": "released"}),
    ):
        with pytest.raises(InputError, match="is finished, and its files say"):
            convert(source, tmp_path / "back", **keys)
        assert not (tmp_path / "back").exists()
    assert Results.at(convert(asks, tmp_path / "back", average="released")).experiment.average == "released"


def test_convert_from_the_command_line(tmp_path, capsys):
    source, out, back = theirs(tmp_path / "source", configuration=shipped(
        num_learners=2, num_epochs=3, lr_switch=[1])), tmp_path / "ours", tmp_path / "back"  # fmt: skip
    assert main(["convert", str(source), str(out)]) == 2
    told = capsys.readouterr()
    assert "probs is false, which has two meanings" in told.err and told.err.count("\n") == 1
    assert main(["convert", str(source), str(out), "average=scores"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert Results.at(out).experiment.average == "scores"
    assert main(["convert", str(out), str(back)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(back)
    assert values(back).keys() == values(source).keys()
