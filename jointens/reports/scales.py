"""How near an experiment is to the paper's: what its results are called wherever they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..experiment import Experiment

SCALES = {
    "quick": "quick results",
    "small": "small-scale results",
    "authors": "results with the authors' hyperparameters",
    "other": "results with other hyperparameters",
    "own": "results on a table of your own",
}
# The authors' shipped sweep, whatever its data set, learner and average.
AUTHORS = {
    "num_learners": 5, "width": 1, "optimiser": "SGD", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
    "scheduler": "ExponentialLR", "gamma": 0.2, "lr_switch": [30, 50, 70], "batch_size": 128, "num_epochs": 80,
    "label_noise": 0.0, "rate_per_learner": False,
}  # fmt: skip
# And their ImageNet run, whatever its learner; the shipped file is MobileViT's.
AUTHORS_IMAGENET = {
    "num_learners": 3, "average": "probabilities", "optimiser": "SGD", "learning_rate": 0.5, "momentum": 0.9,
    "weight_decay": 1e-7, "scheduler": "ExponentialLR", "gamma": 0.2, "lr_switch": 6, "max_patience": 15,
    "validate_every": 2000, "batch_size": 32, "num_epochs": 1000, "label_noise": 0.0, "rate_per_learner": False,
}  # fmt: skip


def scale_of(experiment: Experiment) -> str:
    """One of `SCALES`: on the user's own table; on quick data; on cut data, or with a learner that is tiny for images;
    with the authors' keys; none of these, as on the regression sets, for which no keys of theirs are known.
    """
    dataset = experiment.about_data
    if dataset.content:
        return "own"
    if dataset.quick:
        return "quick"
    if experiment.sizes != dataset.sizes or (dataset.pixels and experiment.base_learner in ("MLP", "CNN")):
        return "small"
    if not dataset.pixels:
        return "other"
    own = experiment.identity()
    authors = AUTHORS_IMAGENET if experiment.dataset == "ImageNet" else AUTHORS
    return "authors" if all(own[name] == value for name, value in authors.items()) else "other"
