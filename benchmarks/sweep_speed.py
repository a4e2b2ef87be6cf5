"""How much faster than a plain loop is the sweep? Both do the same work, in turn, in one process.

    python benchmarks/sweep_speed.py                       the whole comparison: five rounds, some minutes
    python benchmarks/sweep_speed.py --rounds 1 --epochs 3 --seeds 2

The work: digits, MLP 64-64-64-10, M = 5, 6 β × seeds, as many epochs; data read once for each seed. The sweep
(`jointens.run`) also measures the training losses after each epoch and writes its results folder; the plain loop
(plain.py) does not. Prints the medians, the ratio round by round, the losses that both reached, and where the time of
the sweep goes. Exit code 1 if the losses differ by more than rounding explains.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from statistics import median
from unittest.mock import patch

import numpy as np
import plain
import torch
from measured import device_name, seconds

import jointens
from jointens.common import choose_device
from jointens.models import seeded_learners
from jointens.sweeps import load_data, make_learner, worker
from jointens.training import Trainer, trainer


def by_plain_loop(experiment: jointens.Experiment) -> dict[str, np.ndarray]:
    """Ensemble losses of every cell: validation `(cells, epochs)`, test at best and last `(cells,)`."""
    device, trained = choose_device(experiment.device), []
    data = {seed: load_data(experiment, seed) for seed in experiment.seeds}
    for beta, seed in experiment.cells:
        learners = seeded_learners(lambda: make_learner(experiment), experiment.num_learners, seed)
        trained.append(plain.train(experiment, beta, seed, data[seed], [learner.to(device) for learner in learners]))
    return {name: np.array([of[name] for of in trained]) for name in trained[0]}


def by_sweep(experiment: jointens.Experiment) -> dict[str, np.ndarray]:
    """The same from the sweep, trained anew."""
    with tempfile.TemporaryDirectory() as out:
        records = jointens.run(dataclasses.replace(experiment, out=out), progress=False).records()
    test = {when: np.array([record.test[when].ensemble for record in records]) for when in ("best", "last")}
    return {"validation": np.array([record.history.val.ensemble for record in records])} | test


def compared(theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> tuple[str, bool]:
    """Both sides' losses in a few lines, and whether they agree, run by run.

    Only rounding may lie between them. Training amplifies that, at β = 1 most of all, so at the end more is allowed.
    """
    away = {name: np.abs(ours[name] - theirs[name]) for name in theirs}
    first, later = away["validation"][:, 0].max(), max(of.max() for of in away.values())
    means = [f"{when} {theirs[when].mean():.5f} and {ours[when].mean():.5f}" for when in ("best", "last")]
    return (
        f"test ensemble loss, mean over runs, plain loop and sweep: {', '.join(means)}\n"
        f"largest difference of a run: {first:.0e} in validation loss after one epoch, {later:.0e} in any loss later"
    ), bool(first < 1e-5 and later < 1e-3)


PHASES = {  # by the function that does it, and where that is looked up
    (Trainer, "train_steps"): "forward, backward and step",
    (Trainer, "_outputs"): "outputs for validation and test",
    (trainer, "measure"): "losses and accuracies of those",
    (worker, "make_trainer"): "data, initial weights",
}


def shares(experiment: jointens.Experiment) -> str:
    """Where a sweep's time goes: the share of each phase, by timing functions from outside."""
    spent = Counter()

    def timed(function: Callable, phase: str) -> Callable:
        def timing(*args, **keys):
            start = time.perf_counter()
            try:
                return function(*args, **keys)
            finally:
                spent[phase] += time.perf_counter() - start

        return timing

    with contextlib.ExitStack() as patches:
        for (place, name), phase in PHASES.items():
            patches.enter_context(patch.object(place, name, timed(getattr(place, name), phase)))
        start = time.perf_counter()
        by_sweep(experiment)
        total = time.perf_counter() - start
    rows = [(spent[phase], phase) for phase in PHASES.values()]
    rows.append((total - spent.total(), "best weights, results, files, everything else"))
    return "\n".join(f"{seconds / total:6.1%}  {said}" for seconds, said in sorted(rows, reverse=True))


def products(experiment: jointens.Experiment) -> str:
    """The matrix products that training cannot do without, and how long they take when nothing else happens."""
    dataset, learners = experiment.about_data, len(experiment.cells) * experiment.num_learners
    widths = [math.prod(dataset.input_shape), *experiment.hidden, dataset.num_outputs]
    sizes = [fan_in * fan_out for fan_in, fan_out in itertools.pairwise(widths)]
    per_example = 2 * (2 * sizes[0] + 3 * sum(sizes[1:]))  # forward, weights' and inputs' gradients, but for the first
    flop = per_example * dataset.sizes[0] * experiment.num_epochs * learners
    device, rounds = choose_device(experiment.device), 200
    weights = torch.randn(learners, experiment.hidden[0], experiment.hidden[0], device=device)
    inputs = torch.randn(learners, experiment.hidden[0], experiment.batch_size, device=device)

    def multiply() -> None:
        for _ in range(rounds):
            torch.bmm(weights, inputs)

    seconds(multiply, device)  # to get warm
    rate = 2 * weights.numel() * experiment.batch_size * rounds / seconds(multiply, device)
    return f"matrix products of training: {flop / 1e9:.0f} GFLOP, {flop / rate:.1f} s at {rate / 1e9:.0f} GFLOP/s"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed is a whole number, at least 1")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=_count, default=5, help="times that each side trains everything (5)")
    parser.add_argument("--epochs", type=_count, default=30, help="epochs of each run (30)")
    parser.add_argument("--seeds", type=_count, default=5, help="seeds for each of the 6 β (5)")
    parser.add_argument(
        "--threads", type=_count, default=torch.get_num_threads(), help="threads of torch (its default)"
    )
    parser.add_argument("--device", default="cpu", help="of both sides (cpu)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        experiment = jointens.Experiment(num_epochs=options.epochs, seeds=range(options.seeds), device=options.device)
        device = choose_device(options.device)
    except jointens.InputError as error:
        print(f"sweep_speed.py: {error}", file=sys.stderr)
        return 2
    # Once around, uncounted, so that neither side pays for imports and first calls.
    warm = dataclasses.replace(experiment, num_epochs=1, seeds=[0])
    by_plain_loop(warm), by_sweep(warm)

    times, losses = {by_plain_loop: [], by_sweep: []}, {}
    for number in range(1, options.rounds + 1):
        for side, spent in times.items():
            start = time.perf_counter()
            losses[side] = side(experiment)
            spent.append(time.perf_counter() - start)
        last = {side: spent[-1] for side, spent in times.items()}
        print(
            f"round {number}: plain loop {last[by_plain_loop]:.2f} s, sweep {last[by_sweep]:.2f} s, "
            f"ratio {last[by_plain_loop] / last[by_sweep]:.1f}",
            flush=True,
        )
    ratios = [slow / fast for slow, fast in zip(*times.values(), strict=True)]
    print(
        f"\n{len(experiment.cells)} runs, M = {experiment.num_learners}, {experiment.num_epochs} epochs, 1000 images; "
        f"torch {torch.__version__}, {device_name(device)}\n"
        f"plain loop  {median(times[by_plain_loop]):7.2f} s   (median of {options.rounds})\n"
        f"sweep       {median(times[by_sweep]):7.2f} s\n"
        f"ratio       {median(ratios):7.1f}     ({min(ratios):.1f} to {max(ratios):.1f})\n"
    )
    text, agree = compared(losses[by_plain_loop], losses[by_sweep])
    print(text, "the losses agree\n" if agree else "THE LOSSES DIFFER\n", "where the sweep's time goes:", sep="\n")
    print(shares(experiment), products(experiment), sep="\n")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
