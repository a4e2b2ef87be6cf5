"""Where, when and from what a cell came: everything about it that may differ between two equal runs."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import torch

from ..experiment import Cell


def provenance(device: torch.device, execution: str, stack: Sequence[Cell], *, seconds: float) -> dict[str, Any]:
    """Describe the training of a stack that ends now.

    Args:
        device: on which it was trained.
        execution: the name of the execution mode.
        stack: the cells that were trained together.
        seconds: of training.
    """
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "stack": [list(cell) for cell in stack],
        "stack_seconds": round(seconds, 3),
        "commit": _commit(),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "execution": execution,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__},
    }


def _commit() -> str | None:
    """The repository's commit, with `+` behind it if tracked files were changed; outside of one $JOINTENS_COMMIT."""
    git = ["git", "-C", os.fspath(Path(__file__).resolve().parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("JOINTENS_COMMIT")
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
