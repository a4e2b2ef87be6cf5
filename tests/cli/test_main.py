"""The command line: one line for a mistake, nothing written, exit codes, and runs that go on."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from jointens import Cell, Results
from jointens.cli import _stoppable, _Stopped, main
from jointens.data.registry import DATASETS
from jointens.models.learners import LEARNERS

PROFILE = (
    "dataset: digits\ntrain_size: 64\nhidden: [8]\nnum_learners: 2\nnum_epochs: 2\nseeds: [0]\nbeta_vals: [0, 1]\n"
)


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "profile.yml"
    path.write_text(PROFILE)
    return path


@pytest.fixture
def command(tmp_path, profile):
    """Calls the command line in this process, with results under tmp_path/runs."""

    def run(*keys):
        device = [] if any(key.startswith("device=") for key in keys) else ["device=cpu"]
        return main(["run", str(profile), f"out={tmp_path / 'runs'}", *device, *keys])

    return run


def test_the_folder_is_the_last_line_and_a_second_run_trains_nothing(command, capsys, tmp_path):
    assert command() == 0
    first = capsys.readouterr()
    folder = first.out.strip().splitlines()[-1]
    assert sorted(os.listdir(folder)) == ["cells", "experiment.yml", "results.csv"]
    assert "epoch" in first.err and "val ensemble" in first.err
    assert command() == 0
    second = capsys.readouterr()
    assert second.out == first.out and second.err == ""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["num_learner=3"], "unknown key 'num_learner'; the nearest known one is 'num_learners'"),
        (["num_epochs=many"], "num_epochs is 'many'; allowed is a whole number"),
        (["dataset=mnist"], f"dataset is 'mnist'; known are {', '.join(DATASETS)}, csv:PATH, import:MODULE:FUNCTION"),
        (
            ["base_learner=RNN"],
            f"base_learner is 'RNN'; known are {', '.join(LEARNERS)}, timm:NAME, import:MODULE:FUNCTION",
        ),
        (["tag=a/b"], "tag is 'a/b'; allowed is a folder's name without a path separator"),
        (["batchsize=8"], "unknown key 'batchsize'; the nearest known one is 'batch_size'"),
        (["num_epochs"], "'num_epochs' is no key=value (see jointens run --help)"),
        (["jobs=4", "--jobs", "2"], "jobs is given twice, as '4' and as --jobs 2; allowed is one"),
        (
            ["num_epochs=3", "tag=a", "num_epochs=5"],
            "num_epochs is given twice, as '3' and as '5'; allowed is one value",
        ),
        (["seeds=1:5"], "seeds is '1:5'; allowed is a whole number"),
        (["beta_vals=0:1:0.1"], "beta_vals is '0:1:0.1'; allowed is a finite number"),
        pytest.param(
            ["device=cuda"],
            "device is cuda; this machine has 0 CUDA devices, use device=cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device"),
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(command, capsys, tmp_path, keys, message):
    assert command(*keys) == 2
    told = capsys.readouterr()
    assert told.err == f"jointens: {message}\n" and told.out == ""
    assert not (tmp_path / "runs").exists()


def test_mistakes_before_any_key(capsys, tmp_path):
    for arguments, message in (
        (
            ["run", str(tmp_path / "none.yml")],
            f"cannot read the profile {tmp_path / 'none.yml'}: No such file or directory",
        ),
        ([], "the following arguments are required: COMMAND (see jointens --help)"),
        (["train"], "invalid choice: 'train'"),
        (["run"], "run needs PROFILE.yml, or --released FOLDER (see jointens run --help)"),
        (["run", "--released"], "argument --released: expected one argument (see"),
        (["run", "--released", "configs", "a.yml"], "--released stands in place of a profile; 'a.yml' is one too many"),
        (["run", "a.yml", "--released", "configs"], "--released stands in place of a profile; 'a.yml' is one too many"),
        (["run", "--released", "configs", "a=1", "b"], "'b' is no key=value (see jointens run --help)"),
        (["run", "--release=x", "--fast", "a=1"], "unrecognized arguments: --fast"),
        (["convert", "runs"], "the following arguments are required: OUT (see"),
        (["convert", "a", "b", "c"], "'c' is no key=value (see jointens convert --help)"),
    ):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert message in told and told.count("\n") == 1


def test_another_experiments_folder(command, capsys, tmp_path):
    assert command("tag=mine") == 0
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    assert command("tag=mine", "num_epochs=3") == 2
    told = capsys.readouterr().err
    assert "mine holds another experiment: " in told and "num_epochs 2 there, 3 here; choose another tag\n" in told
    assert sorted(tmp_path.rglob("*")) == before


def test_numbers_on_the_command_line_are_yaml_1_2(command, capsys):
    assert command("num_epochs=03", "seeds=[007,010]", "batch_size=010") == 0
    (folder, cells) = _cells(capsys.readouterr().out)
    assert cells == {f"beta={beta},seed={seed}" for beta in (0, 1) for seed in (7, 10)}
    assert len(Results.at(folder).read(Cell(0, 7)).history.learning_rate) == 3
    assert "batch_size: 10\n" in (folder / "experiment.yml").read_text()


def _cells(out):
    folder = Path(out.strip().splitlines()[-1])
    return folder, {path.stem for path in folder.glob("cells/*.json")}


def test_beta_above_one_is_one_line_of_warning(command, capsys):
    assert command("beta_vals=[0,1.5]") == 0
    lines = capsys.readouterr().err.splitlines()
    warnings = [line for line in lines if "warning" in line]
    assert warnings == ["jointens: warning: beta > 1: the objective is unbounded below, training may diverge"]


@pytest.mark.parametrize("keys", [["store_outputs=true"], ["save_weights=true", "hidden=[64,64]"], ["num_epochs=300"]])
def test_a_full_disk_is_one_line_and_what_is_finished_is_kept(command, capsys, tmp_path, keys):
    """Files can be at most 8 kB here: too little for outputs, weights, or the record of a long training."""
    assert command("beta_vals=[0]", *keys) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        assert command(*keys) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("jointens:")]
    assert told == [f"jointens: cannot write results to {folder}: File too large"]
    now = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".grid"}
    assert now == kept  # no half file, no claim
    assert command(*keys) == 0 and len(list(folder.glob("cells/*.json"))) == 2


def test_cells_that_diverged_end_a_run_with_status_3_once_the_others_are_finished(command, capsys):
    for _ in range(2):  # the second time nothing is trained
        assert command("beta_vals=[1e30,0]") == 3
        told = capsys.readouterr()
        folder = Path(told.out.strip().splitlines()[-1])
        assert {path.name for path in folder.glob("cells/*.json")} == {"beta=0,seed=0.json", "beta=1e+30,seed=0.json"}
        assert "warning: 1 of 2 cells diverged: beta=1e+30,seed=0 (epoch 1); tables and figures leave" in told.err


@pytest.mark.parametrize(
    ("sent", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
@pytest.mark.slow
def test_stopped_it_says_so_and_goes_on(profile, tmp_path, sent, status, word):
    """A real process, stopped between two cells; the same command then trains the rest."""
    keys = [f"out={tmp_path / 'runs'}", "stack=false", "tag=t", "num_epochs=20"]
    command = [sys.executable, "-m", "jointens", "run", str(profile), *keys]
    cells = tmp_path / "runs" / "t" / "cells"

    def heed_interrupts():  # a shell's background jobs, and what they start, are born deaf to SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    endless = [*command, f"seeds={list(range(500))}"]
    process = subprocess.Popen(endless, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    while not list(cells.glob("*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(sent)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status, told
    assert told.splitlines()[-1] == f"jointens: {word}; finished cells are kept, the same command goes on"
    finished = {path: path.stat().st_mtime_ns for path in cells.glob("*.json")}
    assert 0 < len(finished) < 1000

    seed = len(finished) // 2  # the first that has a cell missing
    again = subprocess.run([*command, f"seeds={list(range(seed + 1))}"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert len(list(cells.glob("*.json"))) == 2 * (seed + 1)
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())
    assert [path.name for path in cells.iterdir() if path.name.startswith(".")] == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_is_dropped_comes_again():
    """Python drops what a signal handler raises inside a destructor."""
    dropped = []

    class Deaf:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)  # the handler runs here, at the latest

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(_Stopped) as stop, _stoppable():
        Deaf()
        dropped.append(True)
        time.sleep(10)
    assert dropped and stop.value.args == (signal.SIGTERM,)
    assert signal.getsignal(signal.SIGTERM) is before


def test_help_lists_every_key(capsys):
    from jointens import Experiment

    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(f"\n  {name} " in told for name in Experiment.names())
