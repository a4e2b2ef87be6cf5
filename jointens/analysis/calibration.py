"""Predictions of finished runs, from stored outputs or from saved weights and data, and their calibration."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import torch
from torch import Tensor

from ..common import InputError, autocast, choose_device
from ..experiment import Cell, Results
from ..losses import ensemble_output
from ..sweeps import load, make_loader


def predictions(
    results: Results, cell: Cell, *, data_root: str | os.PathLike | None = None, device: str = "auto"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate over the learners' test outputs at the best checkpoint, in parts.

    Args:
        results: of any experiment, trained here or elsewhere.
        cell: a finished one.
        data_root: where the data are, if outputs are not stored; None: as the experiment says.
        device: where outputs are computed then.

    Yields:
        Outputs `(M, B, K)` and targets `(B,)`.

    Raises:
        InputError: neither outputs nor weights are there, or the data are missing.
    """
    if results.path(cell, ".npz").exists():
        stored = results.outputs(cell)
        yield torch.from_numpy(stored["test_outputs_best"]), torch.from_numpy(stored["test_targets"])
        return
    chosen = choose_device(device)
    ensemble = load(results.folder, *cell).to(chosen)
    experiment = dataclasses.replace(results.experiment, data_root=data_root or results.experiment.data_root)
    loader = make_loader(experiment, [cell.seed], chosen)
    for chunks in loader.groups(loader.test):
        for chunk in chunks:
            with torch.no_grad(), autocast(experiment.precision, chosen):
                outputs = ensemble(loader.prepare(chunk.inputs[0]))
            yield outputs.float().cpu(), chunk.targets[0].cpu()


def calibration_error(
    results: Results, cell: Cell, *, data_root: str | os.PathLike | None = None, device: str = "auto"
) -> float:
    """Compute the ensemble's expected calibration error on test data, over 15 bins of confidence, as a fraction.

    It is the mean distance between the probability that the ensemble gives its predicted class and how often it is
    right (Guo et al., 2017), as torchmetrics computes it. Arguments as for `predictions`.

    Raises:
        InputError: as `predictions`; or the experiment is a regression, or torchmetrics is not installed.
    """
    if results.experiment.loss != "cross_entropy":
        raise InputError(f"{results.folder} is trained on {results.experiment.loss}; calibration is of classification")
    try:
        from torchmetrics.classification import MulticlassCalibrationError
    except ImportError as error:
        raise InputError("calibration needs the package torchmetrics, which is not here") from error
    average, metric = results.experiment.average, None
    for outputs, targets in predictions(results, cell, data_root=data_root, device=device):
        output = ensemble_output(outputs, average=average)
        metric = metric or MulticlassCalibrationError(output.shape[-1], n_bins=15, norm="l1", validate_args=False)
        # Averaged probabilities, which "released" takes for scores, are probabilities all the same.
        metric.update(output if average == "released" else output.softmax(-1), targets)
    return metric.compute().item()
