"""`python -m jointens show` of files of numpy, torch and safetensors: what is read from them, and nothing executed."""

import os
import pickle

import numpy as np
import pytest
import torch
from classifier_outputs import classifier, individual
from safetensors.torch import save_file

from jointens import diagnose

pytestmark = pytest.mark.usefixtures("few_subsets")


def written(file, named):
    """Write arrays to a file of the kind that its suffix names."""
    tensors = {name: torch.tensor(value) for name, value in named.items() if not isinstance(value, str)}
    texts = {name: value for name, value in named.items() if isinstance(value, str)}
    suffix = file.suffix.lower()
    if suffix == ".npz":
        with file.open("wb") as opened:
            np.savez(opened, **named)
    elif suffix == ".safetensors":
        save_file(tensors, file, metadata=texts)
    else:
        torch.save(tensors | texts, file)
    return file


@pytest.mark.parametrize("suffix", [".npz", ".NPZ", ".pt", ".PT", ".pth", ".safetensors", ".SafeTensors"])
def test_files_of_arrays_in_other_formats(tmp_path, shown, suffix):
    _, targets, p, loss = classifier()
    named = {"outputs": p, "targets": targets, "reference": p[::-1].copy(), "outputs_are": "probabilities"}
    report = diagnose(p, targets, loss="cross_entropy", reference=p[::-1], outputs_are="probabilities")
    text = shown(written(tmp_path / f"mine{suffix}", named))
    assert text == f"{report}\n" and individual(text) == pytest.approx(loss, abs=5e-4)


def test_half_precision_in_torchs_files(tmp_path, shown):
    logits, targets, _, loss = classifier()
    torch.save(
        {"outputs": [torch.tensor(of).bfloat16() for of in logits], "targets": torch.tensor(targets)}, tmp_path / "a.pt"
    )
    assert individual(shown(tmp_path / "a.pt")) == pytest.approx(loss, rel=0.01)


@pytest.mark.parametrize("suffix", [".npy", ".NPY", ".pt", ".npz", ".safetensors"])
def test_targets_and_a_reference_in_files_of_their_own(tmp_path, shown, refused, suffix, monkeypatch):
    logits, targets, _, _ = classifier()
    report = diagnose(logits, targets, loss="cross_entropy", reference=logits[::-1] / 2)
    files = {}
    for name, values in (("outputs", logits), ("targets", targets), ("reference", logits[::-1] / 2)):
        files[name] = tmp_path / f"{name}{suffix}"
        if suffix.lower() == ".npy":
            with files[name].open("wb") as opened:
                np.save(opened, values)
        elif suffix == ".pt":
            torch.save(torch.tensor(values.copy()), files[name])
        else:
            written(files[name], {"outputs" if name == "outputs" else "a": values.copy()})
    monkeypatch.chdir(tmp_path)
    assert shown(files["outputs"], f"targets=targets{suffix}", f"reference={files['reference']}") == f"{report}\n"
    needed = "needed are outputs (M, N, K) and targets (N,), or targets=FILE"
    assert refused(files["outputs"]) == f"{files['outputs']} holds outputs, and no targets; {needed}"
    assert refused(files["outputs"], "targets=none.npy").startswith("cannot read none.npy: ")
    assert refused(files["outputs"], "targets=t.csv").startswith("targets is t.csv; allowed are files of .npz, .npy")


class Trap:
    """An object that leaves a file behind where a pickle with it is loaded."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt", ".pth", ".safetensors"])
def test_nothing_in_a_file_is_executed(tmp_path, refused, suffix):
    file, trap = tmp_path / f"mine{suffix}", Trap(tmp_path / "sprung")
    content = {"outputs": np.array([trap], dtype=object), "targets": trap}
    for save in (pickle.dump, torch.save, lambda _, to: np.save(to, np.array([trap]), allow_pickle=True),
                 lambda _, to: np.savez(to, outputs=np.array([trap]), allow_pickle=True)):  # fmt: skip
        with file.open("wb") as opened:
            save(content, opened)
        assert refused(file).startswith(f"{file} ")
    assert not trap.file.exists()
    pickle.loads(pickle.dumps(trap))
    assert trap.file.exists()  # it does spring
