"""A sweep as a Slurm job array, on a real cluster of one node: it is finished, preempted, cancelled, refused."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from processes import start_run, wait_for
from same_files import files

import jointens
from jointens import Experiment, InputError, Results
from jointens.cli import main
from jointens.reports.stored_diagnosis import diagnose_stored

SCRIPT = Path(__file__).parents[1] / "support" / "one_node_slurm.sh"


@pytest.fixture(scope="module")
def cluster():
    """Start a cluster, or skip the test with the reason why there is none; returns the path of its configuration."""
    folder = Path("/tmp") / f"jointens-slurm-{os.getpid()}"  # short: there are sockets in it
    started = subprocess.run(["bash", SCRIPT, "start", folder], capture_output=True, text=True)
    if started.returncode == 77:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    yield folder / "slurm.conf"
    subprocess.run(["bash", SCRIPT, "stop", folder], check=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def slurm(cluster, monkeypatch):
    """Call a program of Slurm; returns what it prints."""
    monkeypatch.setenv("SLURM_CONF", str(cluster))

    def call(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return call


@pytest.fixture
def experiment(tmp_path):
    """Cells of one to some ten seconds, which are trained one by one and go on from checkpoints."""

    def make(**keys):
        small = {
            "dataset": "digits", "hidden": [8], "num_learners": 2, "batch_size": 8, "train_size": 400, "num_epochs": 4,
            "max_patience": 1000, "beta_vals": [0, 1], "seeds": [0], "device": "cpu", "checkpoint_seconds": 0,
            "out": str(tmp_path / "runs"), "launcher": "slurm", "slurm_time": 30,
        }  # fmt: skip
        return Experiment(**small | keys)

    return make


def here(experiment, tmp_path):
    """What one process of one thread leaves of the same experiment."""
    keys = {name: getattr(experiment, name) for name in Experiment.names() if not name.startswith("slurm_")}
    keys |= {"launcher": "local", "jobs": 1, "out": str(tmp_path / "here")}
    return files(jointens.run(Experiment(**keys), progress=False).folder)


def cells_of(folder):
    return {name: content for name, content in files(folder).items() if not name.startswith("slurm/")}


def submitted(experiment, tmp_path):
    """Submit by the command line, which comes back at once; returns the results folder."""
    running = start_run(experiment, tmp_path)
    told, complaints = running.communicate(timeout=60)
    assert running.returncode == 0, complaints
    (line,) = complaints.splitlines()
    assert re.fullmatch(rf"jointens: submitted job \d+, {len(experiment.cells)} tasks", line)
    return Path(told.strip())


def logs(folder):
    return "".join(path.read_text() for path in sorted(folder.glob("slurm/*/*_log.*")))


@pytest.mark.slow
def test_run_waits_for_the_cells_and_they_are_those_of_one_process(slurm, experiment, tmp_path, capfd):
    ours = experiment(seeds=[0, 1], jobs=2)
    results = jointens.run(ours, progress=False)
    told = capfd.readouterr().err
    assert told.startswith("jointens: submitted job ") and told.endswith(", 4 tasks\n")
    assert len(results.records()) == 4 and (results.folder / "results.csv").exists()
    assert not (results.folder / "unfinished").exists()
    assert cells_of(results.folder) == here(ours, tmp_path)


@pytest.mark.slow
def test_a_preempted_task_goes_on_from_its_checkpoint(slurm, experiment, tmp_path):
    ours = experiment(beta_vals=[1], num_epochs=120)
    folder = submitted(ours, tmp_path)
    checkpoint = Results(ours).unfinished_path(ours.cells[0], ".pt")
    wait_for(checkpoint.exists)
    urgent = slurm(
        "sbatch", "--parsable", "--partition=urgent", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 1"
    ).strip()
    wait_for(lambda: "COMPLETED" in slurm("squeue", "-h", "-t", "all", "-o", "%T", "-j", urgent))
    assert not Results(ours).is_done(ours.cells[0])
    wait_for(lambda: Results(ours).is_done(ours.cells[0]))
    wait_for(lambda: (folder / "results.csv").exists())
    assert "beta=1,seed=0 goes on after " in logs(folder) and "requeue" in logs(folder).lower()
    assert cells_of(folder) == here(ours, tmp_path)


@pytest.mark.slow
def test_a_cancelled_job_leaves_nothing_broken(slurm, experiment, tmp_path):
    """Whoever waits for it is told; another run, without Slurm, goes on."""
    ours = experiment(num_epochs=120)
    waiting = start_run(ours, tmp_path, "--wait")
    results = Results(ours)
    wait_for(results.unfinished_path(ours.cells[0], ".pt").exists)
    (job,) = {row.partition("_")[0] for row in slurm("squeue", "--noheader", "--format=%i").split()}
    slurm("scancel", job)
    told, complaints = waiting.communicate(timeout=60)
    assert waiting.returncode == 2 and told == ""
    last = complaints.splitlines()[-1]
    assert last.startswith(
        f"jointens: job {job} has ended, and 2 cells are missing, such as beta=0,seed=0; its messages"
    )
    assert "2 missing" in diagnose_stored(results.folder)
    jointens.run(experiment(num_epochs=120, launcher="local", slurm_time=None, jobs=1), progress=False)
    assert cells_of(results.folder) == here(ours, tmp_path)


@pytest.mark.parametrize(
    ("keys", "what"),
    [({"slurm_partition": "nowhere"}, "[Ii]nvalid partition"), ({"slurm_memory": 100_000}, "[Mm]emory")],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_slurm_does_not_take_is_one_line(slurm, experiment, capfd, keys, what):
    ours = experiment(**keys)
    with pytest.raises(InputError, match=f"Slurm does not take the job: .*{what}"):
        jointens.run(ours, progress=False)
    assert capfd.readouterr().err == "" and not (Results(ours).folder / "slurm").exists()


def test_without_slurm_the_missing_program_is_named(experiment, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="launcher is slurm, and there is no sbatch on PATH"):
        jointens.run(experiment(), progress=False)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["slurm_time=30"], "slurm_time is 30; it needs launcher=slurm"),
        (["slurm_partition=gpu"], "slurm_partition is gpu; it needs launcher=slurm"),
        (["--wait"], "--wait is for launcher=slurm; without it run waits anyway"),
        (["--launcher", "pbs"], "launcher is 'pbs'; known are local, slurm"),
        (["--launcher", "slurm", "slurm_time=0"], "slurm_time is 0; allowed is at least 1"),
        (["--launcher", "slurm", "slurm_partition=a b"], "slurm_partition is "),
    ],
)
def test_keys_that_do_not_fit_are_one_line(words, what, tmp_path, capsys):
    (tmp_path / "p.yml").write_text("dataset: digits\n")
    assert main(["run", str(tmp_path / "p.yml"), *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"jointens: {what}") and told.count("\n") == 1
