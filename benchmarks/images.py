"""How much faster than the authors' way to train is an epoch of image learners? Both do the same work, in turn.

    python benchmarks/images.py --data-root FOLDER                     CNN, M = 5, 40,000 images, five rounds
    python benchmarks/images.py --data-root FOLDER --rounds 1 --train-size 2000 --val-size 500

The work: CIFAR-10, one epoch and its validation, with augmentation and averaged probabilities, batch 128. jointens
also measures the losses on as many training images as there are for validation; the plain loop (plain_images.py) does
not. Prints the medians, the ratio round by round, and the losses of both: first without dropout and augmentation, where
they have to agree, then of the timed rounds, in which each side draws its own. Exit code 1 if they differ by more than
that explains, 2 for wrong input.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import sys
import time
from statistics import median

import plain_images as plain
import torch
from sweep_speed import _count

import jointens
from jointens import training
from jointens.data import DATASETS
from jointens.ensemble import seeded_learners
from jointens.randomness import generator


def by_plain_loop(experiment: jointens.Experiment) -> tuple[float, dict[str, float]]:
    """Seconds of an epoch with its validation; the objective, and the losses of validation."""
    dataset, data, (seed,) = DATASETS[experiment.dataset], experiment.load_data(experiment.seeds[0]), experiment.seeds
    learners = seeded_learners(experiment.make_learner, experiment.num_learners, seed)
    parameters = [parameter for learner in learners for parameter in learner.parameters()]
    optimiser = torch.optim.SGD(
        parameters, lr=experiment.learning_rate, momentum=experiment.momentum, weight_decay=experiment.weight_decay
    )
    order = torch.randperm(len(data.train), generator=generator(seed, "order")).tolist()
    train = plain.Images(data.train, plain.transform(dataset.pixels, dataset.augmentation))
    val = plain.Images(data.val, plain.transform(dataset.pixels))
    start, size = time.perf_counter(), experiment.batch_size
    seen = plain.train_epoch(learners, optimiser, plain.batches(train, size, order), experiment.beta_vals[0])
    told = plain.evaluate(learners, plain.batches(val, size))
    return time.perf_counter() - start, {"objective": seen["objective"], **told}


def by_jointens(experiment: jointens.Experiment) -> tuple[float, dict[str, float]]:
    """The same from the trainer: from the first step to the end of the epoch, training losses included."""
    times = []
    trainer = training.Trainer(
        experiment, experiment.cells, on_epoch=lambda *_: times.append(time.perf_counter() - start)
    )
    start = time.perf_counter()
    (cell,) = trainer.run()
    (objective,) = cell.history["objective"]
    val = {name: values[0] for name, values in cell.history["val"].items()}
    return times[0], {
        "objective": objective,
        **{name: val[name] for name in ("individual", "diversity", "ensemble", "accuracy")},
    }


class WithoutDropout(jointens.Experiment):
    """An experiment whose learners drop nothing."""

    def make_learner(self) -> torch.nn.Module:
        learner = super().make_learner()
        for module in learner.modules():
            if isinstance(module, (torch.nn.Dropout, torch.nn.Dropout2d)):
                module.p = 0.0
        return learner


def undisturbed(experiment: jointens.Experiment) -> list[dict[str, float]]:
    """The losses that both sides reach without dropout and augmentation, so that no draw lies between them."""
    name, dataset = experiment.dataset, DATASETS[experiment.dataset]
    still = WithoutDropout(**{key: getattr(experiment, key) for key in experiment.names()})
    DATASETS[name] = dataclasses.replace(dataset, augmentation=None)
    try:
        return [side(still)[1] for side in (by_plain_loop, by_jointens)]
    finally:
        DATASETS[name] = dataset


def compared(theirs: dict[str, float], ours: dict[str, float], allowed: float) -> tuple[str, bool]:
    """Both sides' losses in a line, and whether each is within `allowed` of the other."""
    told = ", ".join(f"{name} {theirs[name]:.4f} and {ours[name]:.4f}" for name in theirs)
    return told, all(abs(ours[name] - theirs[name]) <= allowed for name in theirs if name != "accuracy")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", help="folder that holds cifar-10-batches-py ($JOINTENS_DATA or data/)")
    parser.add_argument("--base-learner", default="CNN", help="learner of the ensemble (CNN)")
    parser.add_argument("--num-learners", type=_count, default=5, help="learners, M (5)")
    parser.add_argument("--rounds", type=_count, default=5, help="times that each side trains an epoch (5)")
    parser.add_argument("--train-size", type=_count, default=40_000, help="training images (40000)")
    parser.add_argument("--val-size", type=_count, default=10_000, help="validation images (10000)")
    parser.add_argument(
        "--threads", type=_count, default=torch.get_num_threads(), help="threads of torch (its default)"
    )
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    try:
        experiment = jointens.Experiment(
            dataset="CIFAR-10", data_root=told.data_root, base_learner=told.base_learner, average="probabilities",
            num_learners=told.num_learners, train_size=told.train_size, val_size=told.val_size, test_size=10,
            learning_rate=0.1, momentum=0.9, weight_decay=5e-4, batch_size=128, num_epochs=1, lr_switch=[30],
            beta_vals=[0.5], seeds=[0], device="cpu",
        )  # fmt: skip
        small = dataclasses.replace(experiment, train_size=min(5120, told.train_size), val_size=min(500, told.val_size))
        same, agree = compared(*undisturbed(small), allowed=1e-3)
    except jointens.InputError as error:
        print(f"images.py: {error}", file=sys.stderr)
        return 2
    # Forty steps lower the losses from log 10 = 2.303 by some tenths.
    print(f"without dropout and augmentation, {small.train_size} images, plain loop and jointens: {same}", flush=True)

    seconds = {by_plain_loop: [], by_jointens: []}
    losses = copy.deepcopy(seconds)
    for number in range(1, told.rounds + 1):
        of_round = dataclasses.replace(experiment, seeds=[number])
        for side in seconds:
            spent, reached = side(of_round)
            seconds[side].append(spent)
            losses[side].append(reached)
        slow, fast = (times[-1] for times in seconds.values())
        print(f"round {number}: plain loop {slow:.1f} s, jointens {fast:.1f} s, ratio {slow / fast:.2f}", flush=True)
    ratios = [slow / fast for slow, fast in zip(*seconds.values(), strict=True)]
    images = told.train_size
    means = [{name: sum(of[name] for of in side) / told.rounds for name in side[0]} for side in losses.values()]
    drawn, near = compared(*means, allowed=0.15)  # draws alone lay up to 0.1 apart, on either side
    print(
        f"\n{told.base_learner}, M = {told.num_learners}, {images} images and {told.val_size} for validation; "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads\n"
        f"plain loop  {median(seconds[by_plain_loop]):7.1f} s   (median of {told.rounds})\n"
        f"jointens    {median(seconds[by_jointens]):7.1f} s\n"
        f"ratio       {median(ratios):7.2f}     ({min(ratios):.2f} to {max(ratios):.2f})\n\n"
        f"with both, means of the rounds: {drawn}\n" + ("the losses agree" if agree and near else "THE LOSSES DIFFER")
    )
    return 0 if agree and near else 1


if __name__ == "__main__":
    sys.exit(main())
