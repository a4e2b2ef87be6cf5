"""What is handed to `diagnose`: exact numbers, masked ones, and what is refused in one line."""

import numpy as np
import pytest

from jointens import diagnose


def short_numbers(shape, seed=0):
    """Draw numbers that half precision represents exactly."""
    return np.random.default_rng(seed).integers(-300, 300, shape) / 64


def masked(values, number):
    mask = np.zeros(values.shape, dtype=bool)
    mask.flat[:number] = True
    return np.ma.masked_array(values, mask)


def rejected(outputs, targets, **options):
    with pytest.raises(ValueError) as error:
        diagnose(outputs, targets, **{"loss": "cross_entropy", **options})
    assert "\n" not in str(error.value) and len(str(error.value)) < 250
    return str(error.value)
