"""How much faster than the authors' way to train is an epoch of image learners? Both do the same work, in turn.

    python benchmarks/images.py --data-root FOLDER                     CNN, M = 5, 40,000 images, five rounds
    python benchmarks/images.py --data-root FOLDER --rounds 1 --train-size 2000 --val-size 500
    python benchmarks/images.py --data-root FOLDER --device cuda --base-learner ResNet18 --precision bfloat16

The work: CIFAR-10, one epoch and its validation, with augmentation and averaged probabilities. jointens also measures
the losses on as many training images as there are for validation; the plain loop (plain_images.py), always in float32,
does not. On a GPU, and with --ways, the ways to run a step are measured first (ways.py), and the fastest is taken.

Prints the medians, the ratio round by round, and the losses of both: first without dropout and augmentation, where
they have to agree, then of the timed rounds, in which each side draws its own. Learners with batch-norm train at a
tenth of the authors' rate, since their first steps at that rate are too chaotic to compare losses. Exit code 1 if they
differ by more than that explains (a way that does is told and not taken), 2 for wrong input.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import sys
import time
from collections.abc import Callable
from statistics import median
from unittest.mock import patch

import plain_images as plain
import torch
import ways
from measured import Memory, device_name, matrix_rate
from sweep_speed import _count

import jointens
from jointens.common import PRECISIONS, choose_device, generator
from jointens.data import DATASETS
from jointens.models import seeded_learners
from jointens.sweeps import build
from jointens.training import EXECUTION_MODES, choose_execution


def by_plain_loop(experiment: jointens.Experiment) -> tuple[float, dict[str, float]]:
    """Seconds of an epoch with its validation; the objective, and the losses of validation."""
    dataset, (seed,) = experiment.about_data, experiment.seeds
    data = build.load_data(experiment, seed)
    learners = seeded_learners(lambda: build.make_learner(experiment), experiment.num_learners, seed)
    learners = [learner.to(choose_device(experiment.device)) for learner in learners]
    parameters = [parameter for learner in learners for parameter in learner.parameters()]
    optimiser = torch.optim.SGD(
        parameters, lr=experiment.learning_rate, momentum=experiment.momentum, weight_decay=experiment.weight_decay
    )
    order = torch.randperm(len(data.train), generator=generator(seed, "order")).tolist()
    train = plain.Images(data.train, plain.transform(dataset.pixels, dataset.augmentation))
    val = plain.Images(data.val, plain.transform(dataset.pixels))
    start, size = time.perf_counter(), experiment.batch_size
    seen = plain.train_epoch(learners, optimiser, plain.batches(train, size, order), experiment.beta_vals[0])
    losses = plain.evaluate(learners, plain.batches(val, size))
    return time.perf_counter() - start, {"objective": seen["objective"], **losses}


def by_jointens(experiment: jointens.Experiment) -> tuple[float, dict[str, float]]:
    """The same from the trainer, training losses included; the losses are those of the first epoch.

    A GPU, and steps that are compiled, take a while to get ready, once in a run of many epochs; then the second epoch
    is timed.
    """
    ends, device = [time.perf_counter()], choose_device(experiment.device)
    timed = 0 if device.type == "cpu" and choose_execution(experiment.execution, device) == "eager" else 1
    trainer = build.make_trainer(
        dataclasses.replace(experiment, num_epochs=1 + timed),
        experiment.cells,
        on_validation=lambda *_: ends.append(time.perf_counter()),
    )
    ends[0] = time.perf_counter()
    (run,) = trainer.run()
    val = {name: run.history["val"][name][0] for name in ("individual", "diversity", "ensemble", "accuracy")}
    return ends[timed + 1] - ends[timed], {"objective": run.history["objective"][0], **val}


def without_dropout(make_learner: Callable[..., torch.nn.Module]) -> Callable[..., torch.nn.Module]:
    """Make a `make_learner` whose learners drop nothing."""

    def make(experiment: jointens.Experiment) -> torch.nn.Module:
        learner = make_learner(experiment)
        for module in learner.modules():
            if isinstance(module, (torch.nn.Dropout, torch.nn.Dropout2d)):
                module.p = 0.0
        return learner

    return make


def has_batch_norm(experiment: jointens.Experiment) -> bool:
    """With batch-norm rounding grows twofold in a step, between the sides as between each and float64."""
    return any(isinstance(module, torch.nn.BatchNorm2d) for module in build.make_learner(experiment).modules())


def undisturbed(experiment: jointens.Experiment) -> list[dict[str, float]]:
    """The losses that both sides reach without dropout and augmentation, so that no draw lies between them.

    Nor does a GPU round products of float32 numbers to ten bits here, as it does in convolutions if it is not options.
    """
    still = dataclasses.replace(experiment.about_data, augmentation=None)
    learners = patch.object(build, "make_learner", without_dropout(build.make_learner))
    rounded, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        with patch.dict(DATASETS, {experiment.dataset: still}), learners:
            return [side(experiment)[1] for side in (by_plain_loop, by_jointens)]
    finally:
        torch.backends.cudnn.allow_tf32 = rounded


def compared(theirs: dict[str, float], ours: dict[str, float], allowed: float) -> tuple[str, bool]:
    """Both sides' losses in a line, and whether each is within `allowed` of the other."""
    line = ", ".join(f"{name} {theirs[name]:.4f} and {ours[name]:.4f}" for name in theirs)
    return line, all(abs(ours[name] - theirs[name]) <= allowed for name in theirs if name != "accuracy")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", help="folder that holds cifar-10-batches-py ($JOINTENS_DATA or data/)")
    parser.add_argument("--base-learner", default="CNN", help="learner of the ensemble (CNN)")
    parser.add_argument("--num-learners", type=_count, default=5, help="learners, M (5)")
    parser.add_argument("--batch-size", type=_count, default=128, help="images per step (128)")
    parser.add_argument("--rounds", type=_count, default=5, help="times that each side trains an epoch (5)")
    parser.add_argument("--train-size", type=_count, default=40_000, help="training images (40000)")
    parser.add_argument("--val-size", type=_count, default=10_000, help="validation images (10000)")
    parser.add_argument("--device", default="cpu", help="of both sides (cpu)")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS, help="of jointens (float32)")
    parser.add_argument(
        "--execution", choices=EXECUTION_MODES, help="way of jointens to run a step (the fastest of --ways)"
    )
    parser.add_argument(
        "--ways", nargs="*", choices=EXECUTION_MODES, metavar="WAY", help="ways to measure (on a GPU: all)"
    )
    parser.add_argument(
        "--threads", type=_count, default=torch.get_num_threads(), help="threads of torch (its default)"
    )
    return parser.parse_args()


def chosen(experiment: jointens.Experiment, names: list[str]) -> jointens.Experiment | None:
    """Measures those ways; the experiment with the fastest, unless it has one, or None if none reaches the losses."""
    cut = dataclasses.replace(experiment, train_size=min(60 * experiment.batch_size, experiment.train_size))
    rate = matrix_rate(choose_device(experiment.device), experiment.precision)
    rows = ways.compare(cut, names, rate)
    best = ways.fastest(rows)
    print(
        f"\nsteps of {experiment.batch_size} images, {ways.PASSES + 1} passes over {cut.train_size}; "
        f"{experiment.precision} matrix products: {rate / 1e12:.3g} TFLOP/s"
    )
    print(f"{ways.table(rows)}\nfastest: {best or 'none'}\n", flush=True)
    return dataclasses.replace(experiment, execution=experiment.execution or best) if best else None


def in_turn(experiment: jointens.Experiment, rounds: int) -> bool:
    """Times both sides, round by round, and prints what came out; whether they reached the same losses."""
    device = choose_device(experiment.device)
    seconds = {by_plain_loop: [], by_jointens: []}
    losses, memory = copy.deepcopy(seconds), {}
    for number in range(1, rounds + 1):
        of_round = dataclasses.replace(experiment, seeds=[number])
        for side in seconds:
            held = Memory(device)
            spent, reached = side(of_round)
            memory[side] = held.peak()
            seconds[side].append(spent)
            losses[side].append(reached)
        slow, fast = (times[-1] for times in seconds.values())
        print(f"round {number}: plain loop {slow:.1f} s, jointens {fast:.1f} s, ratio {slow / fast:.2f}", flush=True)

    print(
        f"\n{experiment.base_learner}, M = {experiment.num_learners}, {experiment.train_size} images and "
        f"{experiment.val_size} for validation, in batches of {experiment.batch_size};\n"
        f"torch {torch.__version__}, {device_name(device)}; "
        f"jointens with {experiment.precision}, execution={choose_execution(experiment.execution, device)}"
    )
    for name, side in (("plain loop", by_plain_loop), ("jointens", by_jointens)):
        spent = median(seconds[side])
        held = f"{memory[side]:6.1f} GiB" if device.type == "cuda" else ""
        print(f"{name:10} {spent:7.1f} s {experiment.train_size / spent:9,.0f} images/s {held}  (median of {rounds})")
    ratios = [slow / fast for slow, fast in zip(*seconds.values(), strict=True)]
    print(f"ratio      {median(ratios):7.2f}  ({min(ratios):.2f} to {max(ratios):.2f})\n")
    means = [{name: sum(of[name] for of in side) / rounds for name in side[0]} for side in losses.values()]
    # Draws alone lay up to 0.1 apart, on either side. Young statistics of batch-norm leave validation to chance.
    names = ["objective"] if has_batch_norm(experiment) else means[0]
    drawn, near = compared(*({name: of[name] for name in names} for of in means), allowed=0.15)
    print(f"with both, means of the rounds: {drawn}")
    return near


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    try:
        experiment = jointens.Experiment(
            dataset="CIFAR-10", data_root=options.data_root, base_learner=options.base_learner, average="probabilities",
            num_learners=options.num_learners, train_size=options.train_size, val_size=options.val_size, test_size=10,
            learning_rate=0.1, momentum=0.9, weight_decay=5e-4, batch_size=options.batch_size,
            num_epochs=1, lr_switch=[30], beta_vals=[0.5], seeds=[0], device=options.device,
            execution=options.execution,
        )  # fmt: skip
        device = choose_device(experiment.device)
        choose_execution(experiment.execution, device)
        # Forty steps of 128 lower the losses of a CNN from log 10 = 2.303 by some tenths. With batch-norm four small
        # steps can be compared, and those that are timed only at a tenth of the rate.
        steps, rate = 40, experiment.learning_rate
        if has_batch_norm(experiment):
            steps, rate = 4, 0.001
            experiment = dataclasses.replace(experiment, learning_rate=0.01)
        sizes = {
            "train_size": min(steps * options.batch_size, options.train_size),
            "val_size": min(500, options.val_size),
        }
        small = dataclasses.replace(experiment, learning_rate=rate, execution="eager", **sizes)
        # A GPU takes other algorithms for other layouts, which round otherwise.
        same, agree = compared(*undisturbed(small), allowed=5e-3 if device.type == "cuda" else 1e-3)
        print(f"without dropout and augmentation, {small.train_size} images, both sides: {same}", flush=True)
        experiment = dataclasses.replace(experiment, precision=options.precision)
        names = options.ways if options.ways is not None else list(EXECUTION_MODES) if device.type == "cuda" else []
        if names:
            experiment = chosen(experiment, names)
            if experiment is None:
                print("THE LOSSES DIFFER")
                return 1
    except jointens.InputError as error:
        print(f"images.py: {error}", file=sys.stderr)
        return 2
    agree = in_turn(experiment, options.rounds) and agree
    print("the losses agree" if agree else "THE LOSSES DIFFER")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
