"""What a finished run predicts: from its stored outputs, or from its saved weights and the data."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import torch
from torch import Tensor

from ..common.device import autocast, choose_device
from ..common.errors import InputError
from ..data.loaders import make_feed
from ..experiment.folder import Results, load
from ..experiment.record import Cell
from ..losses.decomposition import ensemble_output


def predictions(
    results: Results, cell: Cell, *, data_root: str | os.PathLike | None = None, device: str = "auto"
) -> Iterator[tuple[Tensor, Tensor]]:
    """The learners' test outputs at the best checkpoint, and the targets, in parts: `(M, B, K)` and `(B,)`.

    Args:
        results: of any experiment, trained here or elsewhere.
        cell: a finished one.
        data_root: where the data are, if outputs are not stored; None: as the experiment says.
        device: where they are computed then.

    Raises:
        InputError: neither outputs nor weights are there, or the data are missing.
    """
    if results.path(cell, ".npz").exists():
        stored = results.outputs(cell)
        yield torch.from_numpy(stored["test_outputs_best"]), torch.from_numpy(stored["test_targets"])
        return
    where = choose_device(device)
    ensemble = load(results.folder, *cell).to(where)
    experiment = dataclasses.replace(results.experiment, data_root=data_root or results.experiment.data_root)
    feed = make_feed(experiment, [cell.seed], where, 1)
    for chunks in feed.groups(feed.test):
        for chunk in chunks:
            with torch.no_grad(), autocast(experiment.precision, where):
                outputs = ensemble(feed.dataset.prepare(chunk.inputs[0]))
            yield outputs.float().cpu(), chunk.targets[0].cpu()


def calibration_error(
    results: Results, cell: Cell, *, data_root: str | os.PathLike | None = None, device: str = "auto"
) -> float:
    """The expected calibration error of the ensemble on test data, over 15 bins of confidence, as a fraction.

    It is the mean distance between how sure the ensemble is of the class it predicts and how often it is right (Guo et
    al., 2017), as torchmetrics computes it. Arguments as for `predictions`.

    Raises:
        InputError: as `predictions`; or torchmetrics is not installed.
    """
    try:
        from torchmetrics.classification import MulticlassCalibrationError
    except ImportError as error:
        raise InputError("calibration needs the package torchmetrics, which is not here") from error
    average, metric = results.experiment.average, None
    for outputs, targets in predictions(results, cell, data_root=data_root, device=device):
        metric = metric or MulticlassCalibrationError(outputs.shape[-1], n_bins=15, norm="l1", validate_args=False)
        joint = ensemble_output(outputs, average=average)
        # Averaged probabilities, which "released" takes for scores, are probabilities all the same.
        metric.update(joint if average == "released" else joint.softmax(-1), targets)
    return metric.compute().item()
