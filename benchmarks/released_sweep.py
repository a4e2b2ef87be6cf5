"""The authors' unchanged sweep and `jointens run` on the same work: seconds, memory and losses of whole processes.

    python benchmarks/released_sweep.py CHECKOUT [--rounds 3] [--data-root FOLDER]

CHECKOUT is a clone of the authors' repository (alanjeffares/joint-ensembles), which stays as it is: `src` is copied to
a temporary folder, JSON files are written there, and its `src/sweep.py` is run on the CPU from the root of the copy.
`jointens run --released` reads the same files. Both run in the Python and the environment of this process.

Without a GPU `python src/sweep.py -tag cpu` fails even where "device" is "cpu": the script does not hand it to
`Ensemble`, whose default is "cuda". So it is started by `ON_CPU` below, which replaces that default by "cpu", and
torchvision's download of what is missing by an error, and changes nothing else.

With "probs" false, theirs computes what ours calls average=released. Ours also measures the losses of the training
images after each epoch, and keeps outputs, weights and a record of each run. Round n has the seed n - 1 on both sides,
but other draws (initial weights, order, crops, dropout): losses agree within what another seed changes. CPU seconds and
memory are those of all processes of a side together; memory is the peak of their PSS, seen every half second.
Exits with 1 if the medians of the test ensemble losses differ by more than `TOLERANCE`, and with 2 at wrong input.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from process_memory import watch  # nothing here imports torch: its pages would be shared with the sides, and count less

KEYS = {"dataset": "CIFAR-10", "base_learner": "CNN", "num_learners": 5, "probs": False, "device": "cpu"}
DATA = "cifar-10-batches-py"
LOSSES = {"test ensemble": "test_ens_loss", "test individual": "test_ind_loss"}
LOSSES |= {"validation ensemble": "val_ens_loss", "validation individual": "val_ind_loss"}
TOLERANCE = 0.04  # seeds of a side spread by 0.007 (standard deviation), so two seeds differ by 0.01: four times that
SIDES = ("jointens run", "sweep.py")  # ours first: it takes seconds to refuse a wrong key
ON_CPU = """
import runpy, sys
sys.argv, sys.path[0] = ["src/sweep.py", "-tag", "cpu"], "src"
import models.ensemble, torchvision
def refuse(url, *others, **keys):
    raise SystemExit("the data set is not whole, and is not downloaded from " + url)
torchvision.datasets.cifar.download_and_extract_archive = refuse
start = models.ensemble.Ensemble.__init__
start.__defaults__ = tuple("cpu" if value == "cuda" else value for value in start.__defaults__)
runpy.run_path("src/sweep.py", run_name="__main__")
"""
# Runs a command in a folder. Linux hands it the processes that outlive their parents, as `jobs` has them: they count.
IN_FOLDER = """
import contextlib, ctypes, json, os, resource, subprocess, sys, time
os.chdir(sys.argv[1])
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
start = time.perf_counter()
with open("log", "wb") as log:
    code = subprocess.call(sys.argv[2:], stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": os.getcwd()})
seconds = time.perf_counter() - start
with contextlib.suppress(ChildProcessError):
    while os.wait(): pass
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open("took.json", "w") as file:
    json.dump({"code": code, "seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime}, file)
"""


class WrongInput(Exception):
    """What was given cannot be run; the message is one line."""


class Run(NamedTuple):
    """What a side took in a round, and the losses that it reached for each β."""

    seconds: float
    cpu_seconds: float
    memory: float
    losses: dict[float, dict[str, float]]


def write_files(folder: Path, options: argparse.Namespace, seed: int) -> None:
    """Copy the sources of a checkout, and write the configuration of both sides there."""
    shutil.copytree(options.checkout / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    paths = {"data": str(options.data_root), "models": str(folder / "models"), "results": str(folder / "results")}
    keys = KEYS | {"beta_vals": options.betas, "seeds": [seed]}
    try:
        for name, changes in (("experiment", keys), ("optim", {"num_epochs": options.epochs})):
            file = folder / "src" / "configs" / "sweep" / f"{name}.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | changes))
        (folder / "src" / "configs" / "paths.json").write_text(json.dumps(paths))
    except (OSError, ValueError, TypeError) as error:
        raise WrongInput(f"{options.checkout} lacks the configuration of the authors' sweep: {error}") from None
    (folder / "results").mkdir()


def commands(folder: Path, options: argparse.Namespace) -> dict[str, list[str]]:
    """The command of each side, to be run in a folder; it leaves its table in a folder in results/."""
    keys = [f"average={options.average}", f"data_root={options.data_root}", f"out={folder / 'results'}"]
    keys += [f"jobs={options.jobs}"] if options.jobs is not None else []
    ours = ["-m", "jointens", "run", "--released", "src/configs/sweep", *keys]
    return {"jointens run": [sys.executable, *ours], "sweep.py": [sys.executable, "-c", ON_CPU]}


def measured(name: str, command: list[str], folder: Path) -> Run:
    """Run the command of a side to its end."""
    _, memory, _, _ = watch([sys.executable, "-c", IN_FOLDER, str(folder), *command], interval=0.5)
    took, tables = json.loads((folder / "took.json").read_text()), list(folder.glob("results/*/results.csv"))
    if took["code"] != 0 or len(tables) != 1:
        said = ["nothing", *filter(str.strip, (folder / "log").read_text(errors="replace").splitlines())]
        raise WrongInput(f"{name} ended with {took['code']}; it said last: {said[-1]}")
    return Run(took["seconds"], took["cpu_seconds"], memory, losses(tables[0]))


def losses(table: Path) -> dict[float, dict[str, float]]:
    """Read the losses of each β; validation's are of the epoch of the lowest ensemble loss, which is tested."""
    read = {}
    for row in csv.DictReader(table.read_text().splitlines()):
        values = {name: numbers(row[column]) for name, column in LOSSES.items()}
        best = values["validation ensemble"].index(min(values["validation ensemble"]))
        read[float(row["beta"])] = {name: cell[best if "val" in name else 0] for name, cell in values.items()}
    return read


def numbers(cell: str) -> list[float]:
    """The numbers of a cell: one, or a list of them, with or without NumPy's names."""
    return [float(word) for word in re.findall(r"[-+\w.]+", cell.replace("np.float64", ""))]


def spread(values: list[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def report(runs: dict[str, list[Run]], options: argparse.Namespace) -> bool:
    """Print what both sides took and reached; whether the test ensemble losses are within the tolerance."""
    left, right = runs["sweep.py"], runs["jointens run"]
    print(
        f"\n{KEYS['dataset']}, {KEYS['base_learner']}, M = {KEYS['num_learners']}, epochs: {options.epochs}, "
        f"β: {options.betas}, seeds: one a round;\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"jointens with average={options.average}, jobs={options.jobs or 'its default'}\n"
        f"medians of {options.rounds} (least to largest)"
    )
    print(f"\n{'':28}{'sweep.py':>26}{'jointens run':>26}{'ratio, ours/theirs':>24}")
    for name, field, digits in (("wall seconds", 0, 1), ("CPU seconds", 1, 1), ("peak memory, MB", 2, 0)):
        pairs = [(a[field], b[field]) for a, b in zip(left, right, strict=True)]
        cells = [spread(values, digits) for values in zip(*pairs, strict=True)]
        print(f"{name:28}{cells[0]:>26}{cells[1]:>26}{spread([b / a for a, b in pairs], 2):>24}")
    print(f"\n{'loss':28}{'sweep.py':>26}{'jointens run':>26}{'ours - theirs':>24}")
    agree = True
    for beta in options.betas:
        for name in LOSSES:
            values = [[run.losses[beta][name] for run in side] for side in (left, right)]
            apart = median(values[1]) - median(values[0])
            print(f"{f'β = {beta:g}, {name}':28}{spread(values[0], 3):>26}{spread(values[1], 3):>26}{apart:>+24.4f}")
            agree = agree and (name != "test ensemble" or abs(apart) <= TOLERANCE)
    print(f"\nthe test ensemble losses {'agree' if agree else 'DIFFER'} (tolerance {TOLERANCE})")
    return agree


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="clone of the authors' repository")
    root = os.environ.get("JOINTENS_DATA", Path(__file__).parents[1] / "data")
    parser.add_argument("--data-root", type=Path, default=root, help=f"folder of {DATA} ($JOINTENS_DATA or data/)")
    parser.add_argument("--rounds", type=int, default=3, help="times that each side runs (3)")
    parser.add_argument("--epochs", type=int, default=1, help="of each run (1)")
    parser.add_argument("--betas", type=float, nargs="+", default=[0.0, 1.0], metavar="β", help="of the sweep (0 1)")
    parser.add_argument("--jobs", type=int, help="key of jointens run (its default)")
    parser.add_argument("--average", default="released", help="key of jointens run (released: what theirs computes)")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    options.data_root = options.data_root.expanduser().resolve()
    runs = {name: [] for name in SIDES}
    try:
        for name, number in (("rounds", options.rounds), ("epochs", options.epochs)):
            if number < 1:
                raise WrongInput(f"--{name} is {number}; allowed is a whole number from 1")
        if not (options.checkout / "src" / "sweep.py").is_file():
            raise WrongInput(f"{options.checkout} is no clone of the authors' repository: it has no src/sweep.py")
        if not (options.data_root / DATA).is_dir():
            raise WrongInput(f"{options.data_root} holds no {DATA}; nothing is downloaded here")
        for number in range(options.rounds):
            for name in SIDES:
                with tempfile.TemporaryDirectory(prefix="released_sweep_") as folder:
                    write_files(Path(folder), options, seed=number)
                    run = measured(name, commands(Path(folder), options)[name], Path(folder))
                runs[name].append(run)
                print(f"round {number + 1}: {name} {run.seconds:.1f} s, {run.memory:.0f} MB", flush=True)
    except WrongInput as error:
        print(f"released_sweep.py: {error}", file=sys.stderr)
        return 2
    return 0 if report(runs, options) else 1


if __name__ == "__main__":
    sys.exit(main())
