"""Whether the keys of an experiment fit each other and their data set, after each has been checked by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..common.errors import InputError
from ..data.splits import Request
from ..models.learners import check_learner

if TYPE_CHECKING:
    from .config import Experiment


def check_together(experiment: Experiment) -> None:
    """Raises InputError for the first thing that does not fit; the message says what is allowed."""
    for name in ("beta_vals", "seeds"):
        values = getattr(experiment, name)
        if not values or len(set(values)) < len(values):
            raise InputError(f"{name} is {list(values)}; allowed are one or more values, no two the same")
    tag = experiment.tag
    if tag is not None and (set(tag) & set("/\\") or tag in (".", "..") or len(tag) > 100):
        raise InputError(f"tag is {tag!r}; allowed is a folder's name without a path separator")
    for name in ("tag", "out", "data_root"):
        if not f"{getattr(experiment, name)}".isprintable():
            raise InputError(f"{name} is {getattr(experiment, name)!r}; allowed are printable characters")
    _check_data(experiment)
    if experiment.validate_every and experiment.validate_every > experiment.steps_per_epoch:
        raise InputError(
            f"validate_every is {experiment.validate_every}; an epoch has only {experiment.steps_per_epoch} steps"
        )


def _check_data(experiment: Experiment) -> None:
    parts = (experiment.train_size, experiment.val_size, experiment.test_size)
    Request(experiment.dataset, *parts, experiment.label_noise, experiment.target)
    dataset, name = experiment.about_data, experiment.data_name
    if experiment.image_size and not dataset.files:
        what = "images" if len(dataset.input_shape) == 3 else "inputs"
        raise InputError(f"image_size is {experiment.image_size}; {name} has {what} of one size and allows none")
    if experiment.measure_test and dataset.files:
        raise InputError(f"measure_test is true; the test part of {name} is the validation part: use false")
    check_learner(experiment.base_learner, experiment.input_shape, width=experiment.width, of=name)
    if experiment.loss not in (None, dataset.loss):
        raise InputError(f"loss is {experiment.loss}; {name} allows {dataset.loss}")
