"""Tests of input conversion: arrays of any kind give the same numbers, anything else a one-line error."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jointens import debias, decompose, diagnose, drop_learners
from jointens.diagnostics import as_tensor, statistics
from jointens.theory import draw_batch


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


def short_numbers(shape, seed=0):
    """Draw numbers that half precision represents exactly."""
    return np.random.default_rng(seed).integers(-300, 300, shape) / 64


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_converts_to_the_same_tensor(kind):
    values = short_numbers((3, 5, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = KINDS[kind](values.copy())
        tensor = as_tensor(given, "outputs")
    assert not tensor.requires_grad and tensor.is_floating_point()
    np.testing.assert_array_equal(tensor.double().numpy(), values)


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch):
    monkeypatch.setattr(statistics, "REPEATS", 3)


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


def rejected(outputs, targets, **options):
    with pytest.raises(ValueError) as error:
        diagnose(outputs, targets, **{"loss": "cross_entropy", **options})
    assert "\n" not in str(error.value) and len(str(error.value)) < 250
    return str(error.value)


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


def test_bfloat16_learners_in_a_list():
    """numpy has no bfloat16."""
    outputs, classes = draw_batch((3, 12, 4), "cross_entropy", seed=0)
    learners = [learner.bfloat16().requires_grad_() for learner in outputs]
    assert str(diagnose(learners, classes, loss="cross_entropy")) == str(
        diagnose(outputs.bfloat16(), classes, loss="cross_entropy")
    )
    np.testing.assert_allclose(as_tensor(debias(learners), "outputs").float(), debias(outputs), atol=0.1)


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


def masked(values, number):
    mask = np.zeros(values.shape, dtype=bool)
    mask.flat[:number] = True
    return np.ma.masked_array(values, mask)


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
