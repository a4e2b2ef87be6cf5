"""Tests of input conversion: arrays of any kind give the same numbers."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from diagnosed import masked, short_numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jointens import debias, decompose, diagnose, drop_learners
from jointens.diagnostics import as_tensor
from jointens.theory import draw_batch

pytestmark = pytest.mark.usefixtures("few_subsets")


class Foreign:
    """An array of another framework, which numpy can read through `__array__` only."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def unwritable(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def strided(values):
    wide = np.full((*values.shape[:-1], 2 * values.shape[-1]), np.nan)
    wide[..., ::2] = values
    return wide[..., ::2]


KINDS = {
    "float64": lambda values: values,
    "float32": np.float32,
    "float16": np.float16,
    "lists": lambda values: values.tolist(),
    "a tuple of arrays": tuple,
    "read-only": unwritable,
    "negative strides": lambda values: np.flip(np.flip(values).copy()),
    "every other number": strided,
    "Fortran": np.asfortranarray,
    "big-endian": lambda values: values.astype(">f4"),
    "foreign": Foreign,
    "torch": torch.from_numpy,
    "torch float16": lambda values: torch.from_numpy(values).half(),
    "torch with a gradient": lambda values: torch.from_numpy(values).float().requires_grad_(),
    "list of torch": lambda values: [torch.from_numpy(learner) for learner in values],
    "tuple of torch float16": lambda values: tuple(torch.from_numpy(learner).half() for learner in values),
    "list of torch with gradients": lambda values: [torch.from_numpy(row).float().requires_grad_() for row in values],
    "torch transposed": lambda values: torch.from_numpy(values).mT.contiguous().mT,
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_converts_to_the_same_tensor(kind):
    values = short_numbers((3, 5, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = KINDS[kind](values.copy())
        tensor = as_tensor(given, "outputs")
    assert not tensor.requires_grad and tensor.is_floating_point()
    np.testing.assert_array_equal(tensor.double().numpy(), values)


@functools.cache
def case(loss):
    """Return outputs, targets and a reference, and their report."""
    outputs, reference = short_numbers((3, 24, 4)), short_numbers((3, 24, 4), seed=1)
    targets = short_numbers((24, 4), seed=2) if loss == "squared_error" else np.arange(24) % 4
    return outputs, targets, reference, diagnose(outputs, targets, loss=loss, reference=reference)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_any_kind_gives_the_same_report(kind, loss):
    outputs, targets, reference, expected = case(loss)
    given_targets = KINDS[kind](targets) if loss == "squared_error" else targets.tolist()
    before = outputs.copy()
    found = diagnose(KINDS[kind](outputs), given_targets, loss=loss, reference=KINDS[kind](reference))
    assert str(found) == str(expected)  # memory layout may change the last bit of a sum
    pd.testing.assert_frame_equal(found.frame(), expected.frame(), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(outputs, before)


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_is_debiased_and_dropped_from_equally(kind):
    outputs, targets = short_numbers((4, 9, 2)), short_numbers((9, 2), seed=1)
    debiased = debias(KINDS[kind](outputs))
    assert isinstance(debiased, torch.Tensor if kind.startswith("torch") else np.ndarray)
    np.testing.assert_allclose(np.asarray(as_tensor(debiased, "outputs"), dtype=float), debias(outputs), atol=2e-2)
    losses = [
        drop_learners(values, labels, keep=2, generator=torch.Generator().manual_seed(0))
        for values, labels in ((KINDS[kind](outputs), KINDS[kind](targets)), (outputs, targets))
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_classes_of_any_integer_type(kind):
    outputs, targets = short_numbers((3, 20, 4)), np.arange(20) % 4
    expected = str(diagnose(outputs, targets, loss="cross_entropy"))
    for given_targets in (targets.astype(kind), torch.from_numpy(targets).to(getattr(torch, kind)), targets.tolist()):
        assert str(diagnose(outputs, given_targets, loss="cross_entropy")) == expected


def test_regression_accepts_a_missing_output_axis_and_integers():
    outputs, targets, reference = short_numbers((3, 20)), np.arange(20), short_numbers((3, 20), seed=1)
    expected = str(diagnose(outputs[..., None], targets[:, None] * 1.0, loss="squared_error", reference=reference))
    for values, labels, compared in (
        (outputs, targets, reference),
        (outputs, targets.astype("uint8"), reference[..., None]),
        (outputs[..., None], targets, reference),
    ):
        assert str(diagnose(values, labels, loss="squared_error", reference=compared)) == expected
    integers = np.arange(60).reshape(3, 20) % 7
    assert str(diagnose(integers, targets, loss="squared_error")) == str(
        diagnose(integers * 1.0, targets, loss="squared_error")
    )


@settings(max_examples=50, deadline=None)
@given(values=arrays.arrays(st.sampled_from(["f2", "<f4", ">f8", "i2", "u4", "?"]), arrays.array_shapes(min_dims=0)))
def test_any_array_of_numbers_keeps_its_values(values):
    tensor = as_tensor(values, "outputs")
    assert tuple(tensor.shape) == values.shape
    np.testing.assert_array_equal(tensor.numpy(), values)


def test_bfloat16_learners_in_a_list():
    """numpy has no bfloat16."""
    outputs, classes = draw_batch((3, 12, 4), "cross_entropy", seed=0)
    learners = [learner.bfloat16().requires_grad_() for learner in outputs]
    assert str(diagnose(learners, classes, loss="cross_entropy")) == str(
        diagnose(outputs.bfloat16(), classes, loss="cross_entropy")
    )
    np.testing.assert_allclose(as_tensor(debias(learners), "outputs").float(), debias(outputs), atol=0.1)


def test_masks_that_hide_nothing_and_objects_that_are_numbers_are_read():
    outputs, classes, _, _ = case("cross_entropy")
    expected = str(diagnose(outputs, classes, loss="cross_entropy"))
    for values, targets in (
        (masked(outputs, 0), np.ma.masked_array(classes)),
        (outputs.astype(object), classes.astype(object)),
        ([pd.DataFrame(learner) for learner in outputs], pd.Series(classes, dtype="Int64")),
        ([pd.DataFrame(learner).astype("Float64") for learner in outputs], pd.Series(classes).astype(object)),
        (np.array([*outputs, None], dtype=object)[:3], [np.int64(value) for value in classes]),
        ([outputs[0], torch.from_numpy(outputs[1]), outputs[2].tolist()], [torch.tensor(value) for value in classes]),
    ):
        assert str(diagnose(values, targets, loss="cross_entropy")) == expected


@pytest.fixture
def default_dtype():
    """Set torch's default type, until the test ends."""
    before = torch.get_default_dtype()
    yield torch.set_default_dtype
    torch.set_default_dtype(before)


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_torchs_default_type_and_device_have_no_effect(loss, default_dtype):
    """A tensor on the device "meta" holds no numbers: what is made there by default cannot be computed with."""
    outputs, targets, reference, _ = case(loss)
    found = []
    for device, dtype in (("cpu", torch.float32), ("meta", torch.float64), ("meta", torch.float16)):
        default_dtype(dtype)
        with torch.device(device):
            report = diagnose(outputs, targets, loss=loss, average="probabilities", reference=reference)
            dropped = drop_learners(
                outputs, targets, keep=2, repeats=3, loss=loss, generator=torch.Generator("cpu").manual_seed(0)
            )
            parts = decompose(torch.from_numpy(outputs), torch.from_numpy(targets), loss=loss)
        numbers = [part.tolist() for part in parts]
        found.append((str(report), report.frame().to_numpy().tolist(), dropped, debias(outputs).tolist(), numbers))
    assert found[0] == found[1] == found[2]
