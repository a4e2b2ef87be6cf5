"""`python -m jointens show` of anybody's arrays: what they are taken for, and what is asked or refused in one line."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from classifier_outputs import classifier, individual

from jointens import diagnose

pytestmark = pytest.mark.usefixtures("few_subsets")


def arrays(loss="cross_entropy"):
    chance = np.random.default_rng(0)
    outputs = chance.normal(size=(4, 30, 3))
    return outputs, chance.integers(3, size=30) if loss == "cross_entropy" else chance.normal(size=(30, 3))


def saved(tmp_path, **named):
    np.savez(tmp_path / "mine.npz", **named)
    return tmp_path / "mine.npz"


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_a_file_of_arrays_with_and_without_a_reference(tmp_path, shown, loss):
    """The loss follows from the targets; what else is in the file is no matter."""
    outputs, targets = arrays(loss)
    alone = saved(tmp_path, outputs=outputs, targets=targets, names=np.array(["a", "b"]))
    assert shown(alone) == f"{diagnose(outputs, targets, loss=loss)}\n"
    assert shown(alone, f"loss={loss}") == shown(alone)
    beside = saved(tmp_path, outputs=outputs, targets=targets, reference=outputs / 3)
    assert shown(beside) == f"{diagnose(outputs, targets, loss=loss, reference=outputs / 3)}\n"


def test_keys_of_a_file_of_arrays(tmp_path, shown, refused):
    outputs, targets = arrays()
    file = saved(tmp_path, outputs=outputs.astype("float32"), targets=targets.astype("uint8"))
    for average in ("probabilities", "released"):
        report = diagnose(outputs.astype("float32"), targets, loss="cross_entropy", average=average)
        assert shown(file, f"average={average}") == f"{report}\n"
    whole = saved(tmp_path, outputs=outputs[..., 0], targets=np.arange(30))  # ages, say
    report = diagnose(outputs[..., 0], np.arange(30), loss="squared_error")
    assert shown(whole, "loss=squared_error") == f"{report}\n"
    assert refused(whole, "loss=zero_one") == "loss is 'zero_one'; known are cross_entropy, squared_error"
    assert refused(whole, "average=mean") == "average is 'mean'; known are scores, probabilities, released"
    assert refused(whole, "beta=1").startswith("show: unknown key 'beta'; the nearest known one is ")


@pytest.mark.parametrize(
    ("outputs", "targets", "loss"),
    [
        ((4, 30), np.arange(30) % 3, "squared_error"),
        ((4, 30, 1), np.arange(30) % 3, "squared_error"),
        ((4, 30, 3), np.arange(30) % 3, "cross_entropy"),
        ((4, 30, 3), np.arange(30) % 3 * 1.0, "cross_entropy"),
        ((4, 30, 2), (np.arange(30) % 2).astype("float16"), "cross_entropy"),
        ((4, 30, 3), np.arange(90).reshape(30, 3) % 7, "squared_error"),
        ((4, 30, 3), np.arange(90).reshape(30, 3) / 7, "squared_error"),
    ],
)
def test_the_loss_follows_from_the_shapes_and_the_targets(tmp_path, shown, outputs, targets, loss):
    outputs = np.random.default_rng(0).normal(size=outputs)
    whole = targets.astype(int) if loss == "cross_entropy" else targets
    assert shown(saved(tmp_path, outputs=outputs, targets=targets)) == f"{diagnose(outputs, whole, loss=loss)}\n"


def test_a_loss_that_was_guessed_is_told_beside_what_does_not_fit(tmp_path, refused):
    outputs, targets = arrays()
    file = saved(tmp_path, outputs=outputs, targets=targets + 0.5)
    told = refused(file)
    assert told.startswith(f"{file}: targets have shape (30,)")
    assert told.endswith(" (read as squared_error; loss=… says otherwise)")
    assert "otherwise" not in refused(file, "loss=squared_error")
    assert "integer classes" in refused(file, "loss=cross_entropy")
    file = saved(tmp_path, outputs=np.exp(outputs) / np.exp(outputs).sum(-1, keepdims=True), targets=targets)
    assert refused(file).endswith("with outputs_are='probabilities' (read as cross_entropy; loss=… says otherwise)")


def test_arrays_that_do_not_fit_are_one_line(tmp_path, refused):
    outputs, targets = arrays()
    for named, told in (
        ({"outputs": outputs}, "holds outputs, and no targets; needed are outputs (M, N, K) and targets (N,)"),
        ({"targets": targets}, "holds targets, and no outputs; needed are "),
        ({}, "holds nothing, and no outputs; needed are "),
        ({"logits": outputs, "targets": targets}, "holds logits, targets, and no outputs; needed are "),
        ({"outputs": outputs[:, :9], "targets": targets}, "targets have shape (30,)"),
        ({"outputs": outputs[:1], "targets": targets}, "one learner"),
        ({"outputs": outputs * np.nan, "targets": targets}, "outputs hold NaN"),
        ({"outputs": outputs, "targets": 0 * targets}, "targets are all 0"),
        ({"outputs": outputs, "targets": targets + 1}, "classes 1..3"),
        ({"outputs": outputs, "targets": targets.astype(str)}, "targets are of <U21"),
        ({"outputs": outputs, "targets": np.where(targets, 1, np.inf)}, "targets"),
        ({"outputs": outputs, "targets": np.array(1)}, "targets have shape ()"),
        ({"outputs": np.array(1.0), "targets": targets}, "outputs have shape ()"),
        ({"outputs": outputs, "targets": targets, "reference": outputs[:, 1:]}, "reference"),
        ({"outputs": np.array([None] * 30), "targets": targets}, "is damaged, or no .npz file of plain arrays"),
    ):
        line = refused(saved(tmp_path, **named))
        assert line.startswith(str(tmp_path / "mine.npz")) and told in line


def test_probabilities_are_shown_if_the_file_or_the_command_says_so(tmp_path, shown, refused):
    logits, targets, p, loss = classifier()
    file = saved(tmp_path, outputs=p, targets=targets)
    assert "look like probabilities; allowed are logits, or probabilities with outputs_are=" in refused(file)
    text = shown(file, "outputs_are=probabilities")
    assert individual(text) == pytest.approx(loss, abs=5e-4)
    report = diagnose(p, targets, loss="cross_entropy", outputs_are="probabilities")
    assert text == f"{report}\n"
    beside = {"reference": p[::-1] ** 0.5 / (p[::-1] ** 0.5).sum(-1, keepdims=True)}
    marked = saved(tmp_path, outputs=p, targets=targets, outputs_are="probabilities", **beside)
    report = diagnose(p, targets, loss="cross_entropy", outputs_are="probabilities", average="probabilities", **beside)
    assert shown(marked, "average=probabilities") == f"{report}\n"
    assert "rows are no probabilities" in refused(
        saved(tmp_path, outputs=logits, targets=targets), "outputs_are=probabilities"
    )
    assert refused(marked, "outputs_are=votes") == "outputs_are is 'votes'; known are logits, probabilities"
    assert "outputs_are is 'votes'" in refused(saved(tmp_path, outputs=p, targets=targets, outputs_are="votes"))


def test_one_hot_targets_are_classes_and_the_report_says_so(tmp_path, shown):
    logits, targets, _, loss = classifier()
    text = shown(saved(tmp_path, outputs=logits, targets=np.eye(4)[targets]))
    assert individual(text) == pytest.approx(loss, abs=5e-4)
    assert "cross-entropy" in text and "\nTargets are one-hot, and taken as classes.\n" in text
    squared = shown(saved(tmp_path, outputs=logits, targets=np.eye(4)[targets]), "loss=squared_error")
    assert individual(squared) == pytest.approx(((logits - np.eye(4)[targets]) ** 2).sum(-1).mean(), rel=1e-3)


@pytest.mark.parametrize("kind", [bool, int, "uint8", float, "float32"])
@pytest.mark.parametrize("axes", [0, 1])
def test_a_single_logit_is_shown_as_that_of_a_binary_classifier(tmp_path, shown, kind, axes):
    chance = np.random.default_rng(3)
    targets = chance.integers(2, size=60)
    z = 3 * chance.normal(size=(3, 60)) + 2 * targets - 1
    loss = (np.logaddexp(0, z) - z * targets).mean()
    outputs, targets = (z[..., None], targets[:, None]) if axes else (z, targets)
    text = shown(saved(tmp_path, outputs=outputs, targets=targets.astype(kind)))
    assert individual(text) == pytest.approx(loss, abs=5e-4)
    assert (
        "cross-entropy" in text and "\nThe single output for each example is taken as the logit z of (0, z).\n" in text
    )
    file = saved(tmp_path, outputs=1 / (1 + np.exp(-outputs)), targets=targets.astype(kind))
    assert individual(shown(file, "outputs_are=probabilities")) == pytest.approx(loss, abs=5e-4)


def test_what_is_not_clear_is_asked_in_one_line(tmp_path, refused, shown):
    chance = np.random.default_rng(4)
    binary, normal = np.arange(60) % 2, chance.normal(size=(3, 60))
    near, votes, hot = 0.1 * normal + 0.5, chance.integers(4, size=(3, 60)), np.eye(4)[np.arange(60) % 4]
    spread = f"{near.min():.3g} to {near.max():.3g}"
    for outputs, targets, told in (
        (near, binary, f"targets are 0 and 1, outputs (3, 60) are {spread}; give loss=cross_entropy if the outputs are "
                       "logits, outputs_are=probabilities if they are probabilities, or loss=squared_error"),
        (votes, np.arange(60) % 4, "outputs (3, 60) and targets are whole numbers; give loss=squared_error if"),
        (votes[..., None] * 1.0, np.arange(60) % 4, "outputs (3, 60, 1) and targets are whole numbers; give loss"),
        (votes % 2, binary > 0, "classes that learners vote for have no cross-entropy"),
        (3 * normal, 2 * binary - 1, "targets are -1 and 1 only; give classes 0 and 1, or loss=squared_error"),
        (3 * normal, binary + 1.0, "targets are 1 and 2 only; give classes 0 and 1"),
        (chance.normal(size=(3, 60, 4)), hot + np.roll(hot, 1, 1), "(60, 4) are 0 and 1, but not one-hot; give loss="),
        (chance.normal(size=(3, 60, 4)), 0.9 * hot + 0.025, "(60, 4) are rows that sum to 1, but are not"),
    ):  # fmt: skip
        file = saved(tmp_path, outputs=outputs, targets=targets)
        line = refused(file)
        assert line.startswith(f"{file}: ") and told in line
        report = diagnose(outputs, np.asarray(targets, dtype=float), loss="squared_error")
        assert shown(file, "loss=squared_error") == f"{report}\n"


@pytest.mark.parametrize("kind", ["empty", "text", "npy", "pickle", "cut", "torch", "broken inside", "folder", "none"])
def test_what_is_no_file_of_arrays_is_one_line(tmp_path, refused, kind):
    outputs, targets = arrays()
    file = saved(tmp_path, outputs=outputs, targets=targets)
    whole = file.read_bytes()
    if kind in ("folder", "none"):
        file.unlink()
        _ = kind == "none" or file.mkdir()
    elif kind == "npy":
        with file.open("wb") as opened:
            np.save(opened, outputs)
    elif kind == "torch":
        torch.save(outputs, file)
    elif kind == "broken inside":
        np.savez_compressed(file, outputs=outputs, targets=targets)
        packed = bytearray(file.read_bytes())
        packed[62:92] = b"\xff" * 30  # where what was compressed begins
        file.write_bytes(packed)
    else:
        file.write_bytes({"empty": b"", "text": b"beta,seed", "pickle": b"\x80\x04K\x01.", "cut": whole[:-30]}[kind])
    assert "mine.npz" in refused(file)


def test_output_that_is_closed_early_gives_no_traceback(tmp_path):
    """As in `show … | head -1`, of which nothing is read."""
    outputs, targets = arrays("squared_error")
    file = saved(tmp_path, outputs=outputs, targets=targets)
    call = [sys.executable, "-m", "jointens", "show", str(file)]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()  # before anything is written
    told = process.stderr.read()
    assert process.wait(60) == 141 and told == ""
    process.stderr.close()
