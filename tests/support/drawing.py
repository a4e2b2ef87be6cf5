"""What the tests of the algebra are tried on: every loss and average, drawn shapes, drawn values."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = [
    ("cross_entropy", "scores"),
    ("cross_entropy", "probabilities"),
    ("cross_entropy", "released"),
    ("squared_error", "scores"),
]
RUNS = st.sampled_from([(), (3,), (2, 2)])
SIZES = st.integers(1, 6)


def draw(lead, num_learners, batch, num_outputs, loss, seed, scale=3.0):
    chance = torch.Generator().manual_seed(seed)
    shape = (*lead, num_learners, batch, num_outputs)
    outputs = scale * torch.randn(shape, generator=chance, dtype=torch.float64)
    if loss == "squared_error":
        return outputs, torch.randn((*lead, batch, num_outputs), generator=chance, dtype=torch.float64)
    return outputs, torch.randint(num_outputs, (*lead, batch), generator=chance)


def draws(function):
    """Random shapes and values: M, B and K from 1 to 6, with and without run axes."""
    arguments = {
        "lead": RUNS,
        "num_learners": SIZES,
        "batch": SIZES,
        "num_outputs": SIZES,
        "seed": st.integers(0, 2**31),
    }
    return settings(max_examples=60, deadline=None)(given(**arguments)(function))
