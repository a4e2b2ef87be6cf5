"""Fixtures that several rooms' tests share. Heavy packages are imported where they are used.

pytest's first process loads this file, too, and under xdist it runs no test.
"""

import contextlib
import ctypes
import dataclasses
import hashlib
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import ROOT
from filelock import FileLock


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Fill a folder once for all worker processes: `once(name, fill)` calls `fill(folder)` where nobody has yet."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has a folder of its own in it

    def made(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="module", autouse=True)
def memory_returned_to_the_system():
    """Let the C library return what a file's tests have freed: two workers are to fit a laptop."""
    yield
    with contextlib.suppress(OSError, AttributeError):  # glibc has it, others do not need it
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture
def few_subsets(monkeypatch):
    """Let a diagnosis draw three subsets of learners for an example, which is quick and rough."""
    from jointens.diagnostics import statistics

    monkeypatch.setattr(statistics, "REPEATS", 3)


@pytest.fixture
def tiny(tmp_path):
    """Make experiments that train in a fraction of a second, in a folder of the test's own."""
    from jointens import Experiment

    def make(**keys):
        small = {
            "train_size": 64,
            "hidden": [8],
            "num_learners": 2,
            "num_epochs": 2,
            "seeds": [0, 1],
            "beta_vals": [0, 1],
        }
        return Experiment(**{"out": str(tmp_path / "runs"), "device": "cpu", **small, **keys})

    return make


@pytest.fixture(scope="session")
def shell():
    """Run a command as a reader would, with the environment active; a failure shows its output."""

    def run(command: str | list[str]) -> subprocess.CompletedProcess:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            shell=isinstance(command, str),
            cwd=ROOT,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    return run


@pytest.fixture(scope="session")
def html(once, shell) -> Path:
    """The book, built once from the committed outputs with warnings as errors, as `make html` does it."""
    flags = re.search(r"jupyter-book build (.*) --path-output", (ROOT / "Makefile").read_text())[1].split()
    assert "-W" in flags
    return once("book", lambda out: shell(["jupyter-book", "build", *flags, "--path-output", str(out), "."])) / (
        "_build/html"
    )


@pytest.fixture(scope="session")
def cifar10_root(once) -> Path:
    """A folder with the official files of CIFAR-10: the data root, or what the pack beside the repository holds."""
    from jointens.common.paths import default_data_root

    if (default_data_root() / "cifar-10-batches-py").is_dir():
        return default_data_root()
    return unpacked(once, "cifar10", "no CIFAR-10: set JOINTENS_DATA to the folder that holds cifar-10-batches-py")


@pytest.fixture(scope="session")
def imagenet_root(once) -> Path:
    """A folder with 150 training and 50 validation images of ImageNet, which share no class."""
    return unpacked(once, "imagenet", "no images of ImageNet: there is no ../shared/data")


def unpacked(once, name: str, missing: str) -> Path:
    """A data set of the pack beside the repository; skips the test with the message `missing` without the pack."""
    unpack = ROOT.parent / "shared" / "data" / "unpack.py"
    if not unpack.exists():
        pytest.skip(missing)
    return once(name, lambda root: subprocess.run([sys.executable, str(unpack), str(root), name], check=True))


@pytest.fixture(scope="session")
def tabular_root() -> Path:
    """A data root with the files of the paper's regression sets in tabular/: the default, or the pack beside it."""
    from jointens.common.paths import default_data_root

    for root in (default_data_root(), ROOT.parent / "shared" / "data"):
        if (root / "tabular" / "abalone.data").is_file():
            return root
    pytest.skip("no regression sets: set JOINTENS_DATA to the folder that holds tabular/")


@pytest.fixture
def small_sets(tmp_path, monkeypatch) -> Path:
    """A data root with CIFAR-10, CIFAR-100 and SVHN in their official layouts, but of a few hundred random images."""
    import numpy as np
    import torchvision
    from scipy.io import savemat

    from jointens.data.registry import DATASETS
    from jointens.data.torchvision_sets import _read

    rng = np.random.default_rng(0)
    sizes = {"CIFAR-10": (240, 60, 100), "CIFAR-100": (400, 200, 100), "SVHN": (300, 50, 50)}
    for name, (num_train, num_val, num_test) in sizes.items():
        dataset = dataclasses.replace(DATASETS[name], sizes=sizes[name])
        monkeypatch.setitem(DATASETS, name, dataset)
        kind, digests = getattr(torchvision.datasets, name.replace("-", "")), {}

        def write(path: Path, number: int, key: str, content=None, classes=dataset.num_outputs, digests=digests):
            path.parent.mkdir(exist_ok=True)
            labels = np.arange(number) % classes
            if path.suffix == ".mat":
                images = rng.integers(256, size=(32, 32, 3, number), dtype=np.uint8)
                savemat(path, {"X": images, "y": np.where(labels == 0, 10, labels)[:, None]})  # theirs: 10 is the zero
            else:
                images = rng.integers(256, size=(number, 3072), dtype=np.uint8)
                path.write_bytes(pickle.dumps(content or {"data": images, key: labels.tolist()}))
            digests[path.name] = hashlib.md5(path.read_bytes()).hexdigest()

        if name == "SVHN":
            write(tmp_path / "train_32x32.mat", num_train, "y")
            write(tmp_path / "test_32x32.mat", num_val + num_test, "y")
            split = {part: [*of[:2], digests.get(of[1])] for part, of in kind.split_list.items()}
            monkeypatch.setattr(kind, "split_list", split)
            continue
        folder, key = tmp_path / kind.base_folder, {"CIFAR-10": "labels", "CIFAR-100": "fine_labels"}[name]
        for file, _ in kind.train_list:
            write(folder / file, (num_train + num_val) // len(kind.train_list), key)
        write(folder / kind.test_list[0][0], num_test, key)
        names = list(map(str, range(dataset.num_outputs)))
        write(folder / kind.meta["filename"], 0, key, content={kind.meta["key"]: names})
        for of in ("train_list", "test_list"):
            monkeypatch.setattr(kind, of, [[file, digests[file]] for file, _ in getattr(kind, of)])
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": digests[kind.meta["filename"]]})
    _read.cache_clear()
    yield tmp_path
    _read.cache_clear()


@pytest.fixture(scope="session")
def toy_root(once) -> Path:
    """A data root in which toy-imagenet is drawn."""
    from jointens.data.toy_imagenet import read_toy_imagenet

    return once("toy", read_toy_imagenet)
