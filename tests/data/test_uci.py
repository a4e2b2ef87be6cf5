"""Tests for the paper's regression sets: how they are prepared, found and fetched, and one-line errors."""

import dataclasses
import io
import shutil
import zipfile
from http.client import IncompleteRead

import numpy as np
import pandas as pd
import pytest
import torch
from checkout import ROOT

import jointens
from jointens import Experiment, InputError, sweeps
from jointens.data import uci
from jointens.data.registry import DATASETS
from jointens.data.splits import load_data
from jointens.data.uci import TABULAR_SETS, TabularSet, checksum, read_tabular
from jointens.reports.style import scale_of

PROFILES = ROOT / "notebooks" / "profiles"
EXPECTED = {  # features, then rows for training, validation and test
    "bioconcentration": (45, (467, 156, 156)),
    "facebook": (21, (297, 99, 99)),
    "weather": (45, (600, 200, 200)),
    "abalone": (9, (600, 200, 200)),
}

# A small set, so that the files of the four are not needed.
TINY_TEXT = "a,kind,y\n" + "".join(f"{i},{'xyz'[i % 3]},{i / 2}\n" for i in range(20))


def tiny_set(addresses: tuple[str, ...] = (), text: str = TINY_TEXT, **changed) -> TabularSet:
    md5 = checksum(text.encode())
    about = TabularSet("tiny.csv", md5, addresses, rows=20, features=4, target="y", categories=("kind",))
    return about._replace(**changed)


@pytest.fixture
def tiny_root(tmp_path, monkeypatch):
    """Make a data root in which abalone is the tiny set."""
    monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set())
    (tmp_path / "tabular").mkdir()
    (tmp_path / "tabular" / "tiny.csv").write_text(TINY_TEXT)
    return tmp_path


def test_sizes_and_features_are_known_before_anything_is_read():
    for name, (features, sizes) in EXPECTED.items():
        dataset = DATASETS[name]
        assert (dataset.input_shape, dataset.sizes, dataset.num_outputs) == ((features,), sizes, 1)
        assert (dataset.loss, dataset.standardise, dataset.quick, dataset.notes) == ("squared_error", True, False, ())
    assert DATASETS["diabetes"].sizes == (264, 89, 89)  # by the same rule


def test_a_file_is_found_in_the_root_or_in_its_folder(tiny_root):
    inputs, targets = read_tabular("abalone", tiny_root)
    assert inputs.dtype == targets.dtype == torch.float64
    assert inputs[:3].tolist() == [[0, 1, 0, 0], [1, 0, 1, 0], [2, 0, 0, 1]] and targets[3] == 1.5
    assert torch.equal(read_tabular("abalone", tiny_root / "tabular")[0], inputs)


def test_a_missing_file_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "tabular" / "dataset_Facebook.csv"
    message = f"facebook cannot be read: {path} is missing; give data_root, the folder that holds tabular/, or download"
    with pytest.raises(InputError, match=message):
        load_data("facebook", seed=0, data_root=tmp_path)
    assert not (tmp_path / "tabular").exists()


def test_copies_with_other_line_ends_or_a_marked_header_are_read_alike(tiny_root):
    inputs, targets = read_tabular("abalone", tiny_root)
    content, path = TINY_TEXT.encode(), tiny_root / "tabular" / "tiny.csv"
    mark = b"\xef\xbb\xbf"
    other_ends = (content.replace(b"\n", b"\r\n"), content.replace(b"\n", b"\r"), content[:-1])
    for copy in (*other_ends, b"#" + content, mark + content):
        path.write_bytes(copy)
        again = read_tabular("abalone", tiny_root)
        assert torch.equal(again[0], inputs) and torch.equal(again[1], targets)


@pytest.mark.parametrize(
    "text",
    [
        TINY_TEXT.replace("kind", "sort"),
        TINY_TEXT.replace("a,kind,y", "kind,a,y"),
        TINY_TEXT.replace("\n", ",1\n"),
        TINY_TEXT + "20,x,10\n",
        TINY_TEXT.replace("\n7,", "\n8,"),
        "",
        "<html>not found</html>",
        b"a,kind,y\n\xff\xfe",
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_one_line(tiny_root, text):
    path = tiny_root / "tabular" / "tiny.csv"
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(content)
    for download in (False, True):
        message = f"^abalone cannot be read: {path} is damaged or edited .its MD5 is not "
        with pytest.raises(InputError, match=message) as caught:
            read_tabular("abalone", tiny_root, download)
        assert "\n" not in str(caught.value) and path.read_bytes() == content  # it may be somebody's work


def test_complete_rows_are_used_up_to_a_number_and_columns_as_declared(tmp_path, monkeypatch):
    rows = TINY_TEXT.partition("\n")[2].replace("\n", ",0\n")
    text = "7,,1,1\n" + rows + "20,x,10,0\n"  # no header; an incomplete row and one too many
    changed = {"names": ("a", "kind", "y", "b"), "unused": ("b",), "drop_first": True}
    monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set(text=text, **changed))
    (tmp_path / "tiny.csv").write_text(text)
    inputs, targets = read_tabular("abalone", tmp_path)
    assert inputs.tolist() == [[i, i % 3 == 1, i % 3 == 2] for i in range(20)]
    assert targets.tolist() == [i / 2 for i in range(20)]


# ---- the network


def zipped(**members: str | bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


@pytest.mark.parametrize(
    "served",
    [
        TINY_TEXT.encode(),
        zipped(**{"readme.txt": "", "folder/tiny.csv": TINY_TEXT}),
        zipped(**{"other.zip": zipped(a=""), "inner.zip": zipped(**{"tiny.csv": TINY_TEXT})}),
    ],
    ids=["plain", "zip", "zip in a zip"],
)
def test_a_missing_file_is_fetched_once_when_that_is_allowed(web, tmp_path, monkeypatch, served):
    folder, address = web
    (folder / "set").write_bytes(served)
    (folder / "bad").write_bytes(b"<html>moved</html>")
    monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set((f"{address}/gone", f"{address}/bad", f"{address}/set")))
    with pytest.raises(InputError, match="is missing"):
        read_tabular("abalone", tmp_path)
    first, _ = read_tabular("abalone", tmp_path, download=True)
    assert [path.name for path in (tmp_path / "tabular").iterdir()] == ["tiny.csv"]
    assert (tmp_path / "tabular" / "tiny.csv").read_text() == TINY_TEXT
    (folder / "set").unlink()
    again, _ = read_tabular("abalone", tmp_path, download=True)
    assert torch.equal(first, again)


def test_a_download_that_fails_is_one_line_and_writes_nothing(web, tmp_path, monkeypatch):
    folder, address = web
    (folder / "broken.zip").write_bytes(zipped(**{"tiny.csv": TINY_TEXT})[:-40])
    (folder / "empty.zip").write_bytes(zipped(a=""))
    (folder / "short.csv").write_text(TINY_TEXT[:-20])
    for file, problem in (
        ("gone", f"{address}/gone: HTTP Error 404: File not found"),
        ("empty.zip", f"{address}/empty.zip holds no tiny.csv"),
        ("short.csv", f"{address}/short.csv holds another tiny.csv .its MD5 is not {checksum(TINY_TEXT.encode())}.$"),
        ("broken.zip", f"{address}/broken.zip holds another tiny.csv "),
    ):
        monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set((f"{address}/{file}",)))
        with pytest.raises(InputError, match=f"^abalone cannot be downloaded: {problem}") as caught:
            read_tabular("abalone", tmp_path / "data", download=True)
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set(("http://127.0.0.1:9/x",)))
    with pytest.raises(InputError, match=r"127.0.0.1:9/x: .*refused"):
        read_tabular("abalone", tmp_path / "data", download=True)

    def breaks_off(*_, **__):
        raise IncompleteRead(b"")

    monkeypatch.setattr(uci.urllib.request, "urlopen", breaks_off)
    with pytest.raises(InputError, match=r"127.0.0.1:9/x: IncompleteRead"):
        read_tabular("abalone", tmp_path / "data", download=True)
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_written_is_one_line(web, tmp_path, monkeypatch):
    folder, address = web
    (folder / "set").write_text(TINY_TEXT)
    monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set((f"{address}/set",)))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"abalone cannot be (read|downloaded).*: .*Not a directory"):
        read_tabular("abalone", tmp_path / "file", download=True)


def test_the_addresses_are_those_of_the_uci_repository():
    numbers = {"bioconcentration": 510, "facebook": 368, "weather": 514, "abalone": 1}
    for name, number in numbers.items():
        zip_of_the_page, _ = TABULAR_SETS[name].addresses
        assert zip_of_the_page.startswith(f"https://archive.ics.uci.edu/static/public/{number}/")


# ---- the real files


@pytest.mark.realdata
@pytest.mark.parametrize("name", EXPECTED)
def test_the_real_sets_are_prepared_as_documented(name, tabular_root):
    features, sizes = EXPECTED[name]
    inputs, targets = read_tabular(name, tabular_root)
    assert inputs.shape == (sum(sizes), features) and inputs.isfinite().all() and targets.isfinite().all()
    data = load_data(name, seed=0, data_root=tabular_root)
    parts = (data.train, data.val, data.test)
    assert tuple(map(len, parts)) == sizes
    assert all(part.inputs.shape[1:] == (features,) and part.inputs.dtype == torch.float32 for part in parts)
    assert all(part.targets.dtype == torch.float32 and part.targets.isfinite().all() for part in parts)
    varies = data.train.inputs.amax(0) > data.train.inputs.amin(0)
    torch.testing.assert_close(data.train.inputs.mean(0), torch.zeros(features), rtol=0, atol=1e-5)
    torch.testing.assert_close(data.train.inputs.std(0, correction=0), varies.float(), rtol=0, atol=1e-4)
    torch.testing.assert_close(data.train.targets.std(correction=0), torch.tensor(1.0))
    other = load_data(name, seed=1, data_root=tabular_root)
    assert not torch.equal(other.test.targets, data.test.targets)


@pytest.mark.realdata
def test_the_columns_are_the_intended_ones(tabular_root):
    """Compared with the files, read in another way."""
    folder = tabular_root / "tabular"
    inputs, targets = read_tabular("abalone", tabular_root)
    lines = [line.split(",") for line in (folder / "abalone.data").read_text().splitlines()[:1000]]
    assert targets.tolist() == [float(line[-1]) for line in lines]
    assert inputs[:, :7].tolist() == [[float(cell) for cell in line[1:-1]] for line in lines]
    assert inputs[:, 7].tolist() == [float(line[0] == "I") for line in lines]  # of F, I, M the first is dropped
    assert inputs[:, 8].tolist() == [float(line[0] == "M") for line in lines]

    inputs, targets = read_tabular("weather", tabular_root)
    frame = pd.read_csv(folder / "Bias_correction_ucl.csv").dropna()[:1000]
    assert np.array_equal(targets, frame["Next_Tmax"])
    assert not (inputs.numpy() == frame["Next_Tmin"].to_numpy()[:, None]).all(0).any()
    assert np.array_equal(inputs[:, 0], frame["Present_Tmax"])
    assert inputs[:, 21:].sum(0).tolist() == [(frame["station"] == station).sum() for station in range(2, 26)]

    inputs, targets = read_tabular("facebook", tabular_root)
    assert targets[0] == 5091 and inputs[0, 0] == 139441 and inputs[:, -4:].sum(1).unique().tolist() == [1]

    inputs, targets = read_tabular("bioconcentration", tabular_root)
    assert targets[:2].tolist() == [0.74, 0.93] and inputs[0, :5].tolist() == [0, 1.49, 0.14, 1.35, 0.72]
    assert inputs[:, 5:].sum(1).unique().tolist() == [4]  # one of each one-hot


@pytest.mark.realdata
def test_the_header_of_the_uci_repositorys_own_file_is_taken_too(tabular_root, tmp_path):
    """The copy for the tests has #CAS, the repository's CAS."""
    file = TABULAR_SETS["bioconcentration"].file
    content = (tabular_root / "tabular" / file).read_bytes()
    assert content.startswith(b"#CAS,")
    (tmp_path / file).write_bytes(content[1:])
    ours, theirs = (read_tabular("bioconcentration", root)[0] for root in (tabular_root, tmp_path))
    assert torch.equal(ours, theirs)


@pytest.mark.realdata
@pytest.mark.parametrize("name", EXPECTED)
def test_the_shipped_profiles_train(name, tabular_root, tmp_path):
    """From the files in place, through training and results."""
    whole = Experiment.from_profile(PROFILES / f"{name}.yml", data_root=str(tabular_root))
    assert whole.hidden == (whole.input_shape[0] + 1,) * 2 and (whole.num_learners, len(whole.cells)) == (10, 120)
    assert scale_of(whole) == "other" and whole.name == f"{name}-MLP-{whole.hash}"
    small = {"num_epochs": 3, "num_learners": 2, "seeds": [0], "beta_vals": [0, 1]}
    experiment = dataclasses.replace(whole, **small, out=str(tmp_path), device="cpu")
    results = jointens.run(experiment, progress=False)
    history = results.history()
    assert set(history["split"]) == {"train", "val", "test"}
    first, last = (history[(history["split"] == "train") & (history["epoch"] == epoch)] for epoch in (1, 3))
    assert (last["ensemble"].to_numpy() < first["ensemble"].to_numpy()).all()
    ensemble = jointens.load(results.folder, beta=1, seed=0)
    assert ensemble(sweeps.load_data(experiment, 0).test.inputs).shape == (2, experiment.sizes[2], 1)


@pytest.mark.realdata
def test_a_data_root_may_be_the_folder_itself(tabular_root, tmp_path):
    shutil.copy(tabular_root / "tabular" / "abalone.data", tmp_path)
    a, b = (load_data("abalone", seed=0, data_root=root) for root in (tabular_root, tmp_path))
    assert torch.equal(a.test.inputs, b.test.inputs)
