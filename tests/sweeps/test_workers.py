"""Several processes train one results folder: every cell once, whoever is killed, with the files of one process."""

import os
import random
import signal
import time
from dataclasses import replace

import pytest
import torch
from processes import start_run, wait_for
from same_files import files

import jointens
from jointens import Experiment, InputError, Results
from jointens.cli import main
from jointens.common import derived_seed, profiles_root
from jointens.sweeps import build, local, stack_size, worker
from jointens.sweeps.claims import Claims

KILLS = int(os.environ.get("JOINTENS_KILLS", "1"))  # of each kind
MODULE = """
import os
import torch
from torch import nn

def data(seed):
    rng = torch.Generator().manual_seed(seed)
    inputs = torch.randn(900, 6, generator=rng)
    targets = inputs[:, :3].argmax(1)
    return tuple(zip(inputs.split([600, 200, 100]), targets.split([600, 200, 100])))

def net(input_shape, num_outputs):
    with open(os.environ["JOINTENS_NOTES"], "a") as file:
        file.write(f"{os.getpid()} {torch.initial_seed()}\\n")  # which tells the seed and the learner
    return nn.Sequential(nn.Flatten(), nn.Linear(*input_shape, 16), nn.ReLU(), nn.Linear(16, num_outputs))
"""


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """A sweep whose learners note in a file which process trains which seed; a cell takes a second or two."""
    (tmp_path / "noted.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOINTENS_NOTES", str(tmp_path / "notes"))

    def make(**keys):
        small = {
            "dataset": "import:noted:data", "base_learner": "import:noted:net", "num_learners": 2, "batch_size": 4,
            "beta_vals": [1], "seeds": range(1, 6), "num_epochs": 6, "max_patience": 100, "checkpoint_seconds": 0,
            "device": "cpu", "out": str(tmp_path / "runs"),
        }  # fmt: skip
        return Experiment(**small | keys)

    return make


@pytest.fixture
def started(tmp_path):
    """Start `jointens run` on an experiment, and end it with the test."""
    running = []

    def start(experiment, **keys):
        running.append(start_run(experiment, tmp_path, **keys))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def pairs(tmp_path):
    """Which processes have trained which seed: each builds the seed's first learner once."""
    seeds = {derived_seed(seed, "weights", 0): seed for seed in range(1, 10)}
    lines = [map(int, line.split()) for line in (tmp_path / "notes").read_text().splitlines()]
    return [(process, seeds[drawn]) for process, drawn in lines if drawn in seeds]


def undisturbed(experiment, tmp_path):
    keys = {name: getattr(experiment, name) for name in Experiment.names()}
    return files(jointens.run(Experiment(**keys | {"out": str(tmp_path / "undisturbed")}), progress=False).folder)


def alive(folder):
    return [claim for claim, state in Claims(folder).all() if state == "alive"]


@pytest.mark.slow
def test_two_workers_leave_the_files_of_one_process(noted, tmp_path, capfd):
    results = jointens.run(noted(jobs=2), progress=False)
    owners, seeds = zip(*pairs(tmp_path), strict=True)
    assert len(set(owners) - {os.getpid()}) == 2 and sorted(seeds) == [1, 2, 3, 4, 5]
    assert files(results.folder) == undisturbed(noted(), tmp_path)
    assert capfd.readouterr().err.count("\n") == 2  # twice what the data are, and nothing of the workers


def test_a_long_sweep_of_perceptrons_is_two_stacks_whatever_the_number_of_workers(tiny, monkeypatch):
    quick = Experiment.from_profile(profiles_root() / "digits.yml", device="cpu")
    assert len(quick.cells) == 60 and {stack_size(replace(quick, jobs=jobs)) for jobs in (None, 1, 2, 7)} == {30}
    assert stack_size(tiny()) == 4
    monkeypatch.setattr(build, "WORTH_DIVIDING", 0)
    records = jointens.run(tiny(beta_vals=[0, 0.5, 1], seeds=[0], jobs=1), progress=False).records()
    assert [record.provenance["stack"] for record in records] == [[[0, 0], [0.5, 0]], [[0, 0], [0.5, 0]], [[1, 0]]]


@pytest.mark.parametrize("number", range(KILLS))
@pytest.mark.slow
def test_a_killed_worker_costs_no_cell(noted, started, tmp_path, number):
    experiment, rng = noted(num_epochs=15), random.Random(number)
    running = started(experiment, jobs=2)
    folder = Results(experiment).folder
    victim = rng.choice(wait_for(lambda: len(alive(folder)) == 2 and alive(folder)))
    time.sleep(rng.random())
    os.kill(victim.process, signal.SIGKILL)
    told, complaints = running.communicate(timeout=120)
    assert running.returncode == 0 and told.strip() == str(folder)
    assert f"a worker died (process {victim.process}, while it trained " in complaints
    trained = pairs(tmp_path)
    assert len(trained) <= 6 and {seed for _, seed in trained} == set(range(1, 6))
    assert files(folder) == undisturbed(experiment, tmp_path)


@pytest.mark.parametrize("number", range(KILLS))
@pytest.mark.parametrize("who", ["parent", "parent and worker"])
@pytest.mark.slow
def test_a_killed_parent_takes_its_workers_with_it(noted, started, tmp_path, who, number):
    experiment, rng = noted(num_epochs=15), random.Random(number)
    running = started(experiment, jobs=2)
    folder = Results(experiment).folder
    owners = wait_for(lambda: len(alive(folder)) == 2 and alive(folder))
    time.sleep(rng.random())
    running.kill()
    if "worker" in who:
        os.kill(rng.choice(owners).process, signal.SIGKILL)
    running.communicate()
    again = started(experiment, jobs=2)  # at once: it waits for those that have not noticed yet
    told, complaints = again.communicate(timeout=120)
    assert again.returncode == 0 and told.strip() == str(folder), complaints
    trained = pairs(tmp_path)
    assert len(trained) <= 5 + 2 and {seed for _, seed in trained} == set(range(1, 6))
    assert files(folder) == undisturbed(experiment, tmp_path)
    wait_for(lambda: not any(os.path.exists(f"/proc/{owner.process}/status") for owner in owners), seconds=10)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_ctrl_c_ends_all_and_the_same_command_goes_on(noted, started, tmp_path, signum):
    experiment = noted()
    running = started(experiment, jobs=2)
    folder = Results(experiment).folder
    owners = wait_for(lambda: len(alive(folder)) == 2 and alive(folder))
    running.send_signal(signum)
    told, complaints = running.communicate(timeout=60)
    assert running.returncode == 128 + signum and told == "" and "Traceback" not in complaints
    assert not list(folder.glob("unfinished/*.claim")) and list(folder.glob("unfinished/*.grid"))
    assert not any(os.path.exists(f"/proc/{owner.process}/exe") for owner in owners)
    jointens.run(experiment, progress=False)
    assert files(folder) == undisturbed(experiment, tmp_path)


@pytest.mark.parametrize("jobs", [1, 2] if KILLS > 1 else [1])  # six processes need 2 GB
@pytest.mark.slow
def test_two_parents_on_one_folder_train_every_cell_once(noted, started, tmp_path, jobs):
    experiment = noted(seeds=range(1, 7))
    parents = [started(experiment, jobs=jobs) for _ in range(2)]
    for parent in parents:
        told, complaints = parent.communicate(timeout=120)
        assert parent.returncode == 0 and told.strip() == str(Results(experiment).folder), complaints
    assert sorted(seed for _, seed in pairs(tmp_path)) == list(range(1, 7))
    assert files(Results(experiment).folder) == undisturbed(experiment, tmp_path)


@pytest.mark.slow
def test_a_users_mistake_in_a_worker_is_one_line(noted, started, tmp_path):
    text = MODULE.replace("    rng =", "    if seed == 4: raise OSError('no such table')\n    rng =")
    (tmp_path / "noted.py").write_text(text)
    experiment = noted()
    running = started(experiment, jobs=2)
    told, complaints = running.communicate(timeout=120)
    assert running.returncode == 2 and told == ""
    assert complaints.splitlines()[-1].startswith("jointens: import:noted:data raises OSError: no such table")
    assert "Traceback" not in complaints
    assert not list(Results(experiment).folder.glob("unfinished/*.claim"))


@pytest.mark.parametrize("words", [["jobs=0"], ["--jobs", "0"], ["jobs=two"]])
def test_jobs_that_are_no_number_of_processes(words, tmp_path, capsys):
    (tmp_path / "p.yml").write_text("dataset: digits\n")
    assert main(["run", str(tmp_path / "p.yml"), *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith("jointens: jobs is ") and told.count("\n") == 1


def test_more_jobs_than_cells_are_said_and_are_fewer(tiny, capsys):
    results = jointens.run(tiny(jobs=8), progress=False)
    told = capsys.readouterr().err
    assert told == "jointens: jobs is 8, but there is one stack or cell to train: that many processes\n"
    assert len(results.records()) == 4


def test_the_default_is_a_process_for_each_thread(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    cpu, cuda, one = map(torch.device, ("cpu", "cuda", "cuda:1"))
    assert [local.choose_jobs(None, cpu, stacks) for stacks in (1, 3, 9)] == [1, 3, 4]
    assert [local.choose_jobs(None, cuda, stacks) for stacks in (1, 9)] == [1, 3]
    assert (
        local.choose_jobs(None, one, 9) == 1 and local.choose_jobs(2, one, 9) == 2 and local.choose_jobs(6, cpu, 9) == 6
    )


def test_each_worker_has_a_card_of_its_own(tiny, monkeypatch, tmp_path):
    """As far as that can be seen without one: what is sent to whom."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    sent = []
    experiment = tiny()
    template = worker.Worker({"device": "auto"}, experiment.hash, str(tmp_path), [])
    with local.Workers(template, torch.device("cuda"), say=print) as workers:
        workers._executor.submit = lambda of: sent.append(of)
        workers.start(), workers.start()
        workers.running.clear()
    assert [of.keys["device"] for of in sent] == ["cuda:0", "cuda:1"] and {of.gpus for of in sent} == {"4,7"}


def test_a_run_that_dies_again_and_again_is_given_up(noted, monkeypatch, tmp_path):
    """As where the system kills what takes too much memory."""
    (tmp_path / "noted.py").write_text(
        MODULE.replace("    rng =", f"    if os.getpid() != {os.getpid()}: os._exit(9)\n    rng =")
    )
    monkeypatch.setattr(local, "MOST_DEATHS", 2)
    with pytest.raises(InputError, match=r"workers died 2 times, with no cell finished in between.*enough memory"):
        jointens.run(noted(jobs=2), progress=False)
