"""The benchmark against the authors' sweep, run on a stand-in for their repository and on digits."""

import json

import pytest
from authors import EXPERIMENT, OPTIM, REMOVED, changed, write
from checkout import ROOT

# Fails on another device than the CPU; its losses are those of an MLP that has hardly been trained.
SWEEP = """
import argparse, csv, json, os
from models.ensemble import Ensemble

parser = argparse.ArgumentParser()
parser.add_argument("-tag")
keys = json.load(open("src/configs/sweep/experiment.json"))
paths = json.load(open("src/configs/paths.json"))
assert parser.parse_args().tag and keys["device"] == Ensemble().device == "cpu", "not on the CPU"
os.mkdir(paths["results"] + "/one")
names = [f"{part}_{loss}_loss" for part in ("val", "test") for loss in ("ens", "ind")]
with open(paths["results"] + "/one/results.csv", "w") as file:
    table = csv.DictWriter(file, ["beta", "run", *names])
    table.writeheader()
    for beta in keys["beta_vals"]:
        row = {name: "[2.9, np.float64(2.3)]" if "val" in name else "np.float64(2.3)" for name in names}
        table.writerow({"beta": beta, "run": keys["seeds"][0], **row})
"""
ENSEMBLE = """
class Ensemble:
    def __init__(self, probs=True, device="cuda"):
        self.device = device
"""


@pytest.fixture
def released_sweep(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import released_sweep

    monkeypatch.setattr(released_sweep, "KEYS", released_sweep.KEYS | {"dataset": "digits", "base_learner": "MLP"})
    monkeypatch.setattr(released_sweep, "DATA", ".")
    return released_sweep


@pytest.fixture
def stand_in(tmp_path):
    """A checkout with the files of theirs that the benchmark touches."""
    src = tmp_path / "joint-ensembles" / "src"
    files = {"experiment.json": EXPERIMENT, "optim.json": changed(OPTIM, max_patience=REMOVED)}
    write(src / "configs" / "sweep", files | {"data.json": {"digits": {"num_classes": 10}}})
    (src / "models").mkdir()
    (src / "models" / "ensemble.py").write_text(ENSEMBLE)
    (src / "sweep.py").write_text(SWEEP)
    return src.parent


@pytest.mark.slow
def test_both_sides_run_as_processes_and_their_losses_are_compared(released_sweep, stand_in, tmp_path, capsys):
    before = {file: file.read_bytes() for file in stand_in.rglob("*") if file.is_file()}
    words = [str(stand_in), "--data-root", str(tmp_path), "--rounds", "1"]
    code = released_sweep.main(words)
    out, err = capsys.readouterr()
    assert (code, err) == (0, ""), out
    assert "digits, MLP, M = 5, epochs: 1, β: [0.0, 1.0]" in out and "the test ensemble losses agree" in out
    lines = {line[:28].strip(): line[28:].split() for line in out.splitlines()}
    for name in ("wall seconds", "CPU seconds", "peak memory, MB"):
        theirs, ours, ratio = (float(word) for word in lines[name][::4])
        assert theirs > 0 and ratio == pytest.approx(ours / theirs, abs=0.1)
    for beta in (0, 1):
        theirs, ours, apart = (float(word) for word in lines[f"β = {beta}, validation ensemble"][::4])
        assert theirs == 2.3 and 1.461 < ours < 2.303 and apart == pytest.approx(ours - theirs, abs=1e-3)
    assert {file: file.read_bytes() for file in stand_in.rglob("*") if file.is_file()} == before


def test_other_losses_and_wrong_input_are_told(released_sweep, stand_in, tmp_path, capsys):
    losses = {beta: dict.fromkeys(released_sweep.LOSSES, 2.2) for beta in (0.0, 1.0)}
    side = released_sweep.Run(1.0, 1.0, 100.0, losses)
    shifted = dict.fromkeys(released_sweep.LOSSES, 2.2 + 2 * released_sweep.TOLERANCE)
    other = side._replace(losses=losses | {1.0: shifted})
    options = released_sweep.arguments([str(stand_in), "--rounds", "1"])
    assert released_sweep.report({"sweep.py": [side], "jointens run": [side]}, options)
    assert not released_sweep.report({"sweep.py": [side], "jointens run": [other]}, options)
    capsys.readouterr()

    optim = stand_in / "src" / "configs" / "sweep" / "optim.json"
    here = ["--data-root", str(tmp_path)]
    for words, told in (
        ([str(tmp_path), *here], "is no clone of the authors' repository"),
        ([str(stand_in), "--data-root", str(tmp_path / "nowhere")], "nothing is downloaded here"),
        ([str(stand_in), *here, "--rounds", "0"], "--rounds is 0; allowed is a whole number from 1"),
        ([str(stand_in), *here], "lacks the configuration of the authors' sweep"),
    ):
        if "configuration" in told:
            optim.write_text(json.dumps([]))
        assert released_sweep.main(words) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("released_sweep.py: ") and told in err and err.count("\n") == 1
