"""Cells per hour over the number of worker processes.

    python benchmarks/workers.py --data-root FOLDER [--workers 1 2] [--rounds 3] [--figure FILE.png]

Trains cells of CIFAR-10 (CNN, M = 5, β 0 and 1, two seeds, an epoch of 10,000 images) by `jointens run` as whole
processes: by one process with all threads of torch, and by 1, 2, … workers with one thread each; in turn, anew each
time. Prints medians, cells per hour, and whether all left the same cells. The figure has the workers' medians, and the
ideal line through that of one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

KEYS = {
    "dataset": "CIFAR-10", "base_learner": "CNN", "num_learners": 5, "train_size": 10_000, "num_epochs": 1,
    "batch_size": 128, "beta_vals": [0, 1], "seeds": [0, 1], "device": "cpu",
}  # fmt: skip


def run(keys: dict, workers: int | None) -> tuple[float, dict[str, dict]]:
    """Train all cells in a new process: its seconds, and the cells' test metrics by file name.

    Args:
        keys: of the experiment.
        workers: with one thread each; None: one process with all threads.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if workers == 1:  # one job is the process itself
        environment["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as out:
        profile = Path(out, "profile.yml")
        profile.write_text(json.dumps(keys | {"out": out, "jobs": workers or 1}))
        begun = time.perf_counter()
        command = [sys.executable, "-m", "jointens", "run", str(profile)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        spent = time.perf_counter() - begun
        if done.returncode:
            sys.exit(done.stderr)
        cells = Path(done.stdout.splitlines()[-1], "cells").glob("*.json")
        return spent, {cell.name: json.loads(cell.read_text())["test"] for cell in cells}


def draw(per_hour: dict[int, list[float]], file: Path, footer: str) -> None:
    """Draw cells per hour over workers, measured and ideal."""
    from jointens.reports import style

    with style.styled(1, 1, size=(6.4, 3.6), footer=footer) as (figure, ((axes,),)):
        workers, one = sorted(per_hour), median(per_hour[min(per_hour)]) / min(per_hour)
        ideal = [1, 2, 4, 8, 16]
        axes.plot(ideal, [one * n for n in ideal], linestyle="--", color=style.GREY, label="ideal, not measured")
        middle = [median(per_hour[n]) for n in workers]
        away = [[m - min(per_hour[n]) for n, m in zip(workers, middle, strict=True)],
                [max(per_hour[n]) - m for n, m in zip(workers, middle, strict=True)]]  # fmt: skip
        axes.errorbar(
            workers, middle, away, color=style.BLUE, marker="o", capsize=3, label="measured: median and range"
        )
        axes.set(xscale="log", yscale="log", xlabel="worker processes, one thread each", ylabel="cells per hour")
        axes.set_xticks(ideal, map(str, ideal))
        axes.minorticks_off()
        ticks = [round(one * n, -1) for n in ideal]
        axes.set_yticks(ticks, [f"{tick:.0f}" for tick in ticks])
        axes.legend()
    figure.savefig(file, dpi=150)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", required=True, help="the folder with cifar-10-batches-py")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers (1 2)")
    parser.add_argument("--rounds", type=int, default=3, help="times that each trains everything (3)")
    parser.add_argument("--figure", type=Path, help="where to draw it")
    options = parser.parse_args()
    if options.rounds < 1 or min(options.workers) < 1:
        parser.error(f"rounds are {options.rounds}, workers {options.workers}; allowed is at least 1")
    keys = KEYS | {"data_root": str(Path(options.data_root).expanduser().resolve())}
    ways = {"all threads": None} | {f"{number} workers": number for number in options.workers}
    times, tests = {way: [] for way in ways}, {}
    for number in range(1, options.rounds + 1):
        for way, workers in ways.items():
            spent, tests[way] = run(keys, workers)
            times[way].append(spent)
        told = ", ".join(f"{way} {spent[-1]:.1f} s" for way, spent in times.items())
        print(f"round {number}: {told}", flush=True)
    cells = len(tests["all threads"])
    print(f"\n{cells} cells of {KEYS['train_size']:,} images\n{'':14}   seconds (least to most)   cells per hour")
    for way, spent in times.items():
        seconds = f"{median(spent):.1f} ({min(spent):.1f} to {max(spent):.1f})"
        print(f"{way:14}   {seconds:25} {3600 * cells / median(spent):8.0f}")
    by_workers = [tests[way] for way, workers in ways.items() if workers]
    same = all(test == by_workers[0] for test in by_workers)
    print("\nall numbers of workers left the same cells, bit for bit" if same else "\nTHE CELLS DIFFER")
    if options.figure:
        per_hour = {ways[way]: [3600 * cells / s for s in spent] for way, spent in times.items() if ways[way]}
        setting = "CIFAR-10, CNN, M = 5, one epoch of 10,000 images"
        draw(per_hour, options.figure, f"{setting}; a CPU with {os.cpu_count()} cores; {options.rounds} rounds")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
