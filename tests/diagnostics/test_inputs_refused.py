"""Tests of what is no ensemble's outputs and targets: a one-line error that names what came."""

import numpy as np
import pandas as pd
import pytest
import torch
from diagnosed import masked, rejected, short_numbers

from jointens import debias, diagnose, drop_learners
from jointens.diagnostics import as_tensor
from jointens.theory import draw_batch


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.array([[0.5], [None]], dtype=object), "of object"),
        (np.array(["a", "b"]), "of <U1"),
        (np.zeros(3, dtype=complex), "of complex128"),
        (np.zeros(3, dtype="M8[s]"), "of datetime64"),
        (np.array([0.5, "a"], dtype=object), "a list"),
        ([[1.0, 2.0], [3.0]], "2 arrays of different shapes, (2,), (1,); allowed is one shape for all"),
        ([[[1.0], [2.0, 3.0]], [[4.0]]], "a list"),
        ({"outputs": [1.0]}, "a dict"),
        ("outputs", "a str"),
        (None, "a NoneType"),
    ],
)
def test_values_without_numbers_are_rejected_in_one_line(values, found):
    for call in (
        lambda: as_tensor(values, "outputs"),
        lambda: debias(values),
        lambda: diagnose(values, [0, 1], loss="cross_entropy"),
        lambda: drop_learners(values, [0.0, 1.0], keep=1),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value).startswith(f"outputs are {found}") and "\n" not in str(error.value)


def test_complex_tensors_are_rejected():
    outputs, targets = torch.ones(3, 12, 1, dtype=torch.complex64), torch.arange(12.0)
    for call in (
        lambda: diagnose(outputs, targets, loss="squared_error"),
        lambda: drop_learners(outputs, targets, keep=1),
        lambda: debias(outputs),
    ):
        with pytest.raises(ValueError, match="complex"):
            call()


def test_invalid_ensembles_are_rejected_in_one_line():
    outputs, classes = draw_batch((3, 12, 4), "cross_entropy", seed=0)
    values = torch.linspace(-1, 1, 12)
    nan = outputs.index_fill(1, torch.tensor([3]), torch.nan)
    assert "one learner" in rejected(outputs[:1], classes)
    assert "(M, N, K)" in rejected(outputs.unsqueeze(0), classes)
    assert "shape (12, 4)" in rejected(outputs[0], classes)
    assert "targets have shape (11,)" in rejected(outputs, classes[:11])
    assert "targets have shape ()" in rejected(outputs, classes[0])
    assert "targets have shape (12,)" in rejected(outputs, values, loss="squared_error")
    assert "targets have shape (4, 12)" in rejected(outputs, torch.ones(4, 12), loss="squared_error")
    assert "targets are all 2" in rejected(outputs, torch.full((12,), 2))
    assert "targets are all" in rejected(outputs[..., :1], torch.ones(12), loss="squared_error")
    assert "NaN" in rejected(nan, classes) and "NaN" in rejected(-torch.log(torch.zeros(3, 12, 4)), classes)
    assert "finite" in rejected(outputs[..., :1], torch.full((12,), torch.nan), loss="squared_error")
    assert "classes -1..3" in rejected(outputs, torch.arange(12) % 5 - 1)
    assert "integer classes" in rejected(outputs, values) and "bool" in rejected(outputs, classes > 1)
    assert "at least 10" in rejected(outputs[:, :9], classes[:9])
    assert "no axis empty" in rejected(outputs[:, :0], classes[:0])
    assert "no axis empty" in rejected(outputs[:0], classes)
    assert "unknown loss 'zero_one'" in rejected(outputs, classes, loss="zero_one")
    assert "unknown average 'mean'" in rejected(outputs, classes, average="mean")


def test_an_invalid_reference_is_rejected_by_name():
    outputs, classes = draw_batch((3, 12, 4), "cross_entropy", seed=0)
    for reference in (
        outputs[:, :11], outputs[..., :3], outputs[:2], torch.cat([outputs, outputs]), outputs[0],
        outputs.unsqueeze(0), outputs / 0, "none", outputs[:0], outputs.softmax(-1), np.array([None] * 12),
    ):  # fmt: skip
        assert rejected(outputs, classes, reference=reference).startswith("reference")
    message = "reference has shape (2, 12, 4); allowed is that of outputs, (3, 12, 4)"
    assert rejected(outputs, classes, reference=outputs[:2]) == message
    assert "are all the same" in rejected(outputs, classes, reference=outputs[:1].expand(3, -1, -1))


def test_learners_of_different_shapes_are_rejected_in_one_line():
    outputs, classes = draw_batch((3, 12, 4), "cross_entropy", seed=0)
    for kind in (torch.Tensor, np.asarray, pd.DataFrame):
        learners = [kind(outputs[0]), kind(outputs[1]), kind(outputs[2, :11])]
        message = "outputs are 3 arrays of different shapes, (12, 4), (11, 4); allowed is one shape for all"
        assert rejected(learners, classes) == rejected(tuple(learners), classes) == message
    different = [np.zeros((12, size)) for size in (4, 5, 6, 7)]
    message = (
        "reference: reference are 4 arrays of different shapes, (12, 4), (12, 5), (12, 6), …; allowed is one shape"
    )
    assert rejected(outputs, classes, reference=different).startswith(message.replace("reference are", "outputs are"))


def with_na(values, number):
    frame = pd.DataFrame(values).convert_dtypes().astype("Float64")
    frame.iloc[:number, 0] = pd.NA
    return frame


def test_values_that_are_missing_are_counted():
    """What lies under a mask is a number, and would be used."""
    outputs, classes = short_numbers((3, 12, 4)), np.arange(12) % 4
    holes = outputs.astype(object)
    holes[0, 0, 0] = holes[1, 2, 3] = None
    for values, found in (
        (masked(outputs, 7), "of float64, 7 of 144 values are missing"),
        ([outputs[0], masked(outputs[1], 2), outputs[2]], "of float64, 2 of 48 values are missing"),
        (holes, "of object, 2 of 144 values are missing"),
        (holes.tolist(), "a list, 2 of 144 values are missing"),
        (np.where(outputs > 4, np.nan, outputs).astype(object), f"of object, {(outputs > 4).sum()} of 144 values are"),
    ):
        message = rejected(values, classes)
        assert message.startswith(f"outputs are {found}") and message.endswith("; allowed are numbers only")
        with pytest.raises(ValueError, match="values are missing"):
            debias(values)
    frames = [with_na(learner, 2) for learner in outputs]
    assert rejected(frames, classes).startswith("outputs are a DataFrame, 2 of 48 values are missing; allowed")
    frames = [frame.astype("float64") for frame in frames]  # which makes NaN of them
    message = "outputs hold NaN or infinite values, 6 of 144; allowed are finite numbers"
    assert rejected(frames, classes) == message
    some = pd.Series(classes, dtype="Int64")
    some[3] = pd.NA
    for targets, found in (
        (some.astype(object), "a Series, 1 of 12 values are missing"),
        (np.ma.masked_equal(classes, 2), "of int64, 3 of 12 values are missing"),
        ([*classes[:11], None], "a list, 1 of 12 values are missing"),
    ):
        assert rejected(outputs, targets) == f"targets are {found}; allowed are numbers only"
    assert rejected(outputs, some) == "targets of cross_entropy are torch.float64; allowed are integer classes"  # NaN


@pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors")
def test_tensors_that_do_not_hold_all_values_are_rejected():
    outputs, classes = draw_batch((3, 12, 4), "cross_entropy", seed=0)
    for values in (outputs.to_sparse(), torch.masked.masked_tensor(outputs, outputs > -1)):
        assert "sparse or masked; allowed are tensors that hold all values" in rejected(values, classes)
