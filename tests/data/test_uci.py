"""The paper's regression sets: prepared as told, found or fetched, and one line for what is missing or wrong."""

import dataclasses
import functools
import io
import shutil
import zipfile
from http.client import IncompleteRead
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from checkout import ROOT

import jointens
from jointens import Experiment, InputError
from jointens.data import uci
from jointens.data.registry import DATASETS
from jointens.data.splits import load_data
from jointens.data.uci import TABULAR_SETS, TabularSet, read_tabular

PROFILES = ROOT / "notebooks" / "profiles"
EXPECTED = {  # features, then rows for training, validation and test
    "bioconcentration": (45, (467, 156, 156)),
    "facebook": (21, (297, 99, 99)),
    "weather": (45, (600, 200, 200)),
    "abalone": (9, (600, 200, 200)),
}

# A set of a few rows, in the form of the four, so that nothing of theirs is needed.
TINY_TEXT = "a,kind,y\n" + "".join(f"{i},{'xyz'[i % 3]},{i / 2}\n" for i in range(20))


def tiny_set(addresses: tuple[str, ...] = ()) -> TabularSet:
    def prepare(frame):
        return pd.get_dummies(frame.drop(columns="y"), columns=["kind"]), frame["y"]

    return TabularSet("tiny.csv", addresses, ",", ("a", "kind", "y"), True, 20, 20, 4, prepare)


@pytest.fixture
def tiny_root(tmp_path, monkeypatch):
    """A data root in which abalone is the tiny set."""
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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TINY_TEXT.replace("kind", "sort"), "has no column kind"),
        (TINY_TEXT.replace("a,kind,y", "kind,a,y"), "has its columns in another order"),
        (TINY_TEXT.replace("\n", ",1\n").replace("y,1", "y,z"), "has 4 columns, not 3"),
        (TINY_TEXT + "20,x,10\n", "has 21 rows, not 20"),
        (TINY_TEXT.replace("\n7,", "\nseven,"), "holds 'seven' in the column a, not a number"),
        (TINY_TEXT.replace("7,y,3.5", "7,y,"), "holds 'nan' in the column y, not a number"),
        (TINY_TEXT.replace("7,y,3.5", "7,y,inf"), "holds 'inf' in the column y, not a number"),
        (TINY_TEXT.replace(",z,", ",x,"), "gives 20 rows of 3 features, not 20 of 4"),
        (TINY_TEXT.replace("7,y,3.5", "7,y,3.5,1"), "is no table: .* line 9"),
        ("", "is no table: No columns"),
        ("<html>not found</html>", "has no column a"),
        (b"a,kind,y\n\xff\xfe", "is no table: .*utf-8"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_one_line(tiny_root, text, told):
    path = tiny_root / "tabular" / "tiny.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=f"^abalone cannot be read: {path} {told}") as caught:
        read_tabular("abalone", tiny_root)
    assert "\n" not in str(caught.value)


def test_a_file_without_column_names_is_counted(tmp_path, monkeypatch):
    monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set()._replace(named=False))
    (tmp_path / "tiny.csv").write_text(TINY_TEXT.partition("\n")[2])
    assert read_tabular("abalone", tmp_path)[0].shape == (20, 4)
    (tmp_path / "tiny.csv").write_text(TINY_TEXT.partition("\n")[2].replace("\n", ",0\n"))
    with pytest.raises(InputError, match="has 4 columns, not 3"):
        read_tabular("abalone", tmp_path)


# ---- the network


@pytest.fixture
def web(tmp_path_factory):
    """A folder and the address at which a server on this machine hands it out."""
    folder = tmp_path_factory.mktemp("web")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
    monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set((f"{address}/gone", f"{address}/set")))
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
    for file, told in (
        ("gone", f"{address}/gone: HTTP Error 404: File not found"),
        ("empty.zip", f"{address}/empty.zip holds no tiny.csv"),
        ("short.csv", "tiny.csv of .* has 1[0-9] rows, not 20"),
        ("broken.zip", "tiny.csv of .* (is no table|has no column)"),
    ):
        monkeypatch.setitem(TABULAR_SETS, "abalone", tiny_set((f"{address}/{file}",)))
        with pytest.raises(InputError, match=f"^abalone cannot be downloaded: {told}") as caught:
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
def test_the_real_sets_are_prepared_as_told(name, tabular_root):
    features, sizes = EXPECTED[name]
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
def test_the_columns_are_those_that_were_meant(tabular_root):
    """Against the files themselves, read in another way."""
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
    """The pack's copy has #CAS, theirs CAS."""
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
    assert whole.scale == "other" and whole.name == f"{name}-MLP-{whole.hash}"
    small = {"num_epochs": 3, "num_learners": 2, "seeds": [0], "beta_vals": [0, 1]}
    experiment = dataclasses.replace(whole, **small, out=str(tmp_path), device="cpu")
    results = jointens.run(experiment, progress=False)
    history = results.history()
    assert set(history["split"]) == {"train", "val", "test"}
    first, last = (history[(history["split"] == "train") & (history["epoch"] == epoch)] for epoch in (1, 3))
    assert (last["ensemble"].to_numpy() < first["ensemble"].to_numpy()).all()
    ensemble = jointens.load(results.folder, beta=1, seed=0)
    assert ensemble(experiment.load_data(0).test.inputs).shape == (2, experiment.sizes[2], 1)


@pytest.mark.realdata
def test_a_data_root_may_be_the_folder_itself(tabular_root, tmp_path):
    shutil.copy(tabular_root / "tabular" / "abalone.data", tmp_path)
    a, b = (load_data("abalone", seed=0, data_root=root) for root in (tabular_root, tmp_path))
    assert torch.equal(a.test.inputs, b.test.inputs)
