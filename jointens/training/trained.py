"""What training leaves, run by run, on the host: nested tensors of all runs become each run's plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TrainedRun:
    """What training one run left: plain numbers and CPU tensors."""

    best_epoch: int
    """The validation with the lowest ensemble loss, from 1; 0 if there is none (yet), or if the run diverged."""
    history: dict[str, Any]
    """Lists with an entry for each validation. learning_rate, objective; train, val (and test) as `measure` gives;
    with `validate_every` also epoch and step, and epoch_objective for each epoch. Those of a run that diverged end at
    the validation whose ensemble loss was not finite, and everything below is missing."""
    test: dict[str, Any]
    """At "best" and "last", with the keys of `measure` each, or None if not known."""
    outputs: dict[str, Tensor]
    """Test and validation outputs `(M, N, K)` at the best and the last validation, and targets `(N,)`."""
    weights: dict[str, Tensor]
    """`(M, ...)`, at the best validation."""


def split_runs(
    num_runs: int,
    history: Sequence[dict],
    *,
    best_epoch: Tensor,
    diverged: Tensor,
    epoch_objectives: Sequence[Tensor] | None,
    test: dict[str, Any],
    outputs: dict[str, Tensor],
    weights: dict[str, Tensor],
) -> list[TrainedRun]:
    """Move everything to the host and split it by run; every tensor has the leading axis R.

    A run that diverged leaves what it would have left alone, when its training would have ended there.

    Args:
        num_runs: R.
        history: a nested dict for each validation.
        best_epoch: the best validation, from 1. `(R,)`
        diverged: the validation at which it diverged, from 1; 0 if it did not. `(R,)`
        epoch_objectives: `(R,)` for each epoch, or None.
        test: nested dicts.
        outputs: `(R, ...)` each.
        weights: `(R, M, ...)` each.
    """
    lists = _transposed(list(history))
    if epoch_objectives is not None:
        lists["epoch_objective"] = list(epoch_objectives)
    found = [lists, test, outputs, weights, best_epoch, diverged]
    lists, test, outputs, weights, best_epoch, diverged = moved(found, "cpu")
    runs = []
    for run in range(num_runs):
        own_history = _of_run(lists, run)
        if last := int(diverged[run]):
            left = {"best_epoch": 0, "test": dict.fromkeys(sorted(test)), "outputs": {}, "weights": {}}
            runs.append(TrainedRun(history=_up_to(own_history, last), **left))
            continue
        runs.append(
            TrainedRun(
                best_epoch=int(best_epoch[run]),
                history=own_history,
                test=_of_run(test, run),
                outputs={name: value[run] for name, value in outputs.items()},
                weights={name: value[run] for name, value in weights.items()},
            )
        )
    return runs


def join_groups(groups: Sequence[tuple[Tensor, Tensor]], part: str) -> dict[str, Tensor]:
    """Join the outputs `(R, M, N, K)` and the targets `(R, N)` of groups of examples.

    Returns:
        `{part}_outputs` and `{part}_targets`.
    """
    joined = {}
    for name, values, axis in zip(("outputs", "targets"), zip(*groups, strict=True), (-2, -1), strict=True):
        joined[f"{part}_{name}"] = torch.cat(values, dim=axis) if len(values) > 1 else values[0]
    return joined


def moved(tree: Any, device: str | torch.device) -> Any:
    """Move every tensor in nested lists and dicts to a device."""
    if isinstance(tree, dict):
        return {name: moved(value, device) for name, value in tree.items()}
    if isinstance(tree, list):
        return [moved(value, device) for value in tree]
    return tree.to(device) if isinstance(tree, Tensor) else tree


def _transposed(entries: list[dict]) -> dict:
    """Turn a list of nested dicts, one for each validation, into one nested dict of lists."""
    if not entries:
        return {}
    return {
        name: _transposed([entry[name] for entry in entries])
        if isinstance(first, dict)
        else [entry[name] for entry in entries]
        for name, first in entries[0].items()
    }


def _up_to(history: dict[str, Any], validation: int) -> dict[str, Any]:
    """Cut the lists of a history behind a validation, counted from 1."""
    cut = {
        name: _up_to(values, validation) if isinstance(values, dict) else values[:validation]
        for name, values in history.items()
    }
    if "epoch_objective" in history:  # of the epochs that had ended before
        cut["epoch_objective"] = history["epoch_objective"][: history["epoch"][validation - 1] - 1]
    return cut


def _of_run(tree: Any, run: int) -> Any:
    """Take one run out of nested tensors, as plain numbers.

    float32 values become the shortest decimals that name them: 0.1, not 0.10000000149011612.
    """
    if isinstance(tree, dict):
        return {name: _of_run(value, run) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_of_run(value, run) for value in tree]
    if not isinstance(tree, Tensor):
        return tree
    own = tree[run].numpy()
    return [float(str(value)) for value in own] if own.ndim else float(str(own))
