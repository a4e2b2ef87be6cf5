"""Tests of the verification of theorems: the random draws, and failure where a statement does not hold."""

import pytest
import torch

from jointens import decompose
from jointens.losses import LOSSES
from jointens.theory import SIZES, confirm, draw_batch, draws


def same(these, those):
    pairs = zip(these, those, strict=True)
    return all(torch.equal(a, b) for this, that in pairs for a, b in zip(this, that, strict=True))


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_seeds_give_equal_draws(loss):
    first = list(draws(loss, count=50, seed=3))
    torch.rand(7)  # the global generator has no effect
    assert same(first, list(draws(loss, count=50, seed=3)))
    other = list(draws(loss, count=50, seed=4))
    assert not any(torch.equal(a, b) for (a, _), (b, _) in zip(first, other, strict=True))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("count", "batches"), [(1000, [200] * 5), (13, [3, 3, 3, 2, 2]), (5, [1] * 5)])
def test_the_count_is_divided_among_the_sizes(loss, count, batches):
    drawn = list(draws(loss, count=count))
    assert [len(targets) for _, targets in drawn] == batches
    for (outputs, targets), (num_learners, num_outputs), batch in zip(drawn, SIZES, batches, strict=True):
        assert outputs.shape == (num_learners, batch, num_outputs)
        assert outputs.dtype == torch.float64
        if loss == "squared_error":
            assert targets.shape == (batch, num_outputs)
            assert targets.dtype == torch.float64
        else:
            assert targets.shape == (batch,)
            assert targets.dtype == torch.int64
        decompose(outputs, targets, loss=loss)  # accepts them


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_is_a_draw_of_one_size_and_may_have_leading_axes(loss):
    (drawn,) = draws(loss, count=6, seed=5, sizes=[(3, 4)], scale=0.5)
    assert same([drawn], [draw_batch((3, 6, 4), loss, 5, 0.5)])
    assert same([drawn], [draw_batch((3, 6, 4), loss, torch.Generator().manual_seed(5), 0.5)])
    outputs, targets = draw_batch((2, 3, 6, 4), loss)
    assert outputs.shape == (2, 3, 6, 4) and targets.shape == ((2, 6, 4) if loss == "squared_error" else (2, 6))
    decompose(outputs, targets, loss=loss)  # accepts them
    with pytest.raises(ValueError, match="'hinge'; allowed are cross_entropy, squared_error"):
        draw_batch((3, 6, 4), "hinge")


def test_custom_sizes():
    shapes = [tuple(outputs.shape) for outputs, _ in draws(count=7, sizes=[(4, 3), (1, 1)])]
    assert shapes == [(4, 4, 3), (1, 3, 1)]


def test_outputs_have_the_scale_and_regression_targets_have_scale_one():
    ((outputs, targets),) = draws("squared_error", count=20_000, sizes=[(2, 3)], scale=0.5)
    assert outputs.std().item() == pytest.approx(0.5, rel=0.02)
    assert targets.std().item() == pytest.approx(1, rel=0.02)
    ((outputs, targets),) = draws(count=20_000, sizes=[(2, 4)])
    assert outputs.std().item() == pytest.approx(3, rel=0.02)
    assert targets.bincount().tolist() == pytest.approx([5000] * 4, rel=0.1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"loss": "hinge"}, "'hinge'; allowed are cross_entropy, squared_error"),
        ({"count": 4}, "count is 4; allowed is a whole number, at least 5"),
        ({"count": 0, "sizes": [(1, 1)]}, "count is 0; allowed is a whole number, at least 1"),
        ({"count": 100.0}, r"count is 100\.0; allowed is a whole number"),
    ],
)
def test_bad_draws_are_rejected(keys, message):
    with pytest.raises(ValueError, match=message):
        list(draws(**keys))


def identity(outputs, targets):
    parts = decompose(outputs, targets)
    return parts.individual - parts.diversity, parts.ensemble


def row(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def test_a_true_statement_prints_one_line(capsys):
    assert confirm("ensemble = individual − diversity", identity, draws()) is None
    line = "ensemble = individual − diversity: 1,000 of 1,000 agree to 1e-10\n"
    assert capsys.readouterr().out == line


def test_every_number_of_every_case_counts(capsys):
    confirm("x = x", lambda *x: (torch.stack(x), torch.stack(x)), [(row(1, 2), row(3, 4)), (row(5),)], tolerance=0.5)
    assert capsys.readouterr().out == "x = x: 5 of 5 agree to 0.5\n"


def test_a_false_statement_fails_with_its_name(capsys):
    with pytest.raises(AssertionError, match=r"individual = ensemble: does not hold, by .*; allowed is 1e-10"):
        confirm("individual = ensemble", lambda *case: decompose(*case)[:2], draws())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sign", [1, -1])
def test_one_number_of_the_last_case_suffices_to_fail(sign):
    cases = [(row(0, 0, 0),), (row(0, 0, sign * 1.1e-10),)]
    with pytest.raises(AssertionError, match=r"x = 0: does not hold, by 1\.1e-10"):
        confirm("x = 0", lambda x: (x, 0 * x), cases)
    confirm("x = 0", lambda x: (x, 0 * x), cases, tolerance=1.2e-10)


@pytest.mark.parametrize("relation", ["=", "<="])
@pytest.mark.parametrize("side", [0, 1])
def test_nan_never_holds(relation, side):
    sides = [row(0, 0), row(0, 0)]
    sides[side] = row(0, torch.nan)
    with pytest.raises(AssertionError, match="a b: does not hold, by nan"):
        confirm("a b", lambda: sides, [()], relation=relation)


@pytest.mark.parametrize("cases", [[], [()], iter([])])
def test_an_empty_comparison_fails(cases, capsys):
    with pytest.raises(AssertionError, match="x = x: nothing was compared"):
        confirm("x = x", lambda: (row(), row()), cases)
    assert capsys.readouterr().out == ""


def test_an_inequality(capsys):
    """The left side may be any distance below, and above by the tolerance only."""
    confirm("a ≤ b", lambda: (row(-1e9, 0, 1e-11), row(0, 0, 0)), [()], relation="<=")
    assert capsys.readouterr().out == "a ≤ b: 3 of 3 hold to 1e-10\n"
    confirm("a ≤ b", lambda: (row(0.4), row(0)), [()], relation="<=", tolerance=0.5)
    with pytest.raises(AssertionError, match=r"a ≤ b: does not hold, by 0\.4; allowed is 1e-10"):
        confirm("a ≤ b", lambda: (row(-5, 0.4), row(0, 0)), [()], relation="<=")
    with pytest.raises(AssertionError, match="b ≤ a"):
        confirm("b ≤ a", lambda: (row(0), row(-1e9)), [()], relation="<=")


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ((row(0), row(0, dtype=torch.float32)), r"float64 \(1,\) and torch.float32 \(1,\); allowed are two of one"),
        ((row(0, dtype=torch.float32), row(0)), r"float32 \(1,\) and torch.float64 \(1,\)"),
        ((row(0, 0), row(0)), r"\(2,\) and torch.float64 \(1,\); allowed are two of one shape in float64"),
        ((row(0).sum(), row(0)), r"float64 \(\) and torch.float64 \(1,\)"),
    ],
)
def test_sides_that_cannot_be_compared_are_rejected(sides, message):
    with pytest.raises(ValueError, match=f"a = b: the sides are .*{message}"):
        confirm("a = b", lambda: sides, [()])


def test_an_unknown_relation_is_rejected():
    with pytest.raises(ValueError, match="'>='; allowed are = and <="):
        confirm("a ≥ b", lambda: (row(1), row(0)), [()], relation=">=")
