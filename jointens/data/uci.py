"""Reads the paper's four regression sets from the files of the UCI repository.

The paper names the sets but describes no preparation. This one follows the first author's earlier repository
(alanjeffares/TANGOS, ICLR 2023), which uses the same four names; that the paper did the same is an inference.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import urllib.request
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..common import InputError, write_atomically

FOLDER = "tabular"  # in the data root
UCI = "https://archive.ics.uci.edu"
TIMEOUT = 60  # seconds that a server may take to answer


class TabularSet(NamedTuple):
    """File of one of the four sets, and how it becomes inputs and targets."""

    file: str
    md5: str  # see `checksum`
    addresses: tuple[str, ...]  # of the file, or of a zip that holds it; tried in this order
    rows: int  # the first complete ones, which are used
    features: int
    target: str
    unused: tuple[str, ...] = ()  # columns that are neither inputs nor the target
    categories: tuple[str, ...] = ()  # columns that become one-hot
    drop_first: bool = False  # leave out each category's first feature
    separator: str = ","
    names: tuple[str, ...] | None = None  # of the columns, if the file's first line does not name them


def read_tabular(name: str, root: Path, download: bool = False) -> tuple[Tensor, Tensor]:
    """Read one of the four sets, before the split. Features are in the order of the file's columns.

    Args:
        name: key of `TABULAR_SETS`.
        root: the data root; the file is in its folder tabular/, or in the root itself.
        download: fetch the file into root/tabular if it is in neither.

    Returns:
        inputs `(N, D)` and targets `(N,)`, float64.

    Raises:
        InputError: the file is missing, has another checksum, or cannot be fetched; the message says which.
    """
    import pandas as pd

    about = TABULAR_SETS[name]
    places = [root / FOLDER / about.file, root / about.file]
    try:
        path = next((place for place in places if place.is_file()), None)
        content = path.read_bytes() if path else None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {places[0]} is not readable ({error.strerror})") from error
    if content is None and not download:
        raise InputError(
            f"{name} cannot be read: {places[0]} is missing; give data_root, the folder that holds {FOLDER}/, or "
            "download=true to fetch it"
        )
    if content is None:
        content = _download(name, about)
        try:
            places[0].parent.mkdir(parents=True, exist_ok=True)
            write_atomically(places[0], content)
        except OSError as error:
            raise InputError(f"{name} cannot be downloaded to {places[0]}: {error.strerror}") from error
    elif checksum(content) != about.md5:
        raise InputError(
            f"{name} cannot be read: {path} is damaged or edited (its MD5 is not {about.md5}); remove it, and give "
            "download=true to fetch it"
        )
    frame = pd.read_csv(io.BytesIO(_normalised(content)), sep=about.separator, names=about.names)
    frame = frame.dropna().head(about.rows)
    inputs = frame.drop(columns=[*about.unused, about.target])
    inputs = pd.get_dummies(inputs, columns=list(about.categories), drop_first=about.drop_first)
    arrays = (part.astype(float).to_numpy(copy=True) for part in (inputs, frame[about.target]))
    inputs, targets = map(torch.from_numpy, arrays)
    return inputs, targets


def checksum(content: bytes) -> str:
    """Return the MD5 of a file's lines, the same for all faithful copies.

    Copies of these files differ in line ends, and one has #CAS for CAS in its header. torchvision's check_integrity
    compares raw bytes, so it would need a digest for each combination.
    """
    return hashlib.md5(_normalised(content), usedforsecurity=False).hexdigest()


def _normalised(content: bytes) -> bytes:
    return b"\n".join(content.removeprefix(codecs.BOM_UTF8).removeprefix(b"#").splitlines())


def _download(name: str, about: TabularSet) -> bytes:
    """Fetch the file's content from the first address that serves the right one.

    Not by torchvision's download_url: it waits without a limit, falls back on plain http, and writes in place, where a
    killed process would leave half a file. Its zip extraction does not look into a zip within a zip.
    """
    problems = []
    for address in about.addresses:
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "jointens"})
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                content = _member(answer.read(), about.file)
        except (OSError, HTTPException, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
            problems.append(f"{address}: {error or type(error).__name__}")
            continue
        if content is None:
            problems.append(f"{address} holds no {about.file}")
        elif checksum(content) != about.md5:
            problems.append(f"{address} holds another {about.file} (its MD5 is not {about.md5})")
        else:
            return content
    raise InputError(f"{name} cannot be downloaded: {'; '.join(problems)}")


def _member(content: bytes, file: str) -> bytes | None:
    """Return the file of that name in a zip, or in a zip within; None without one. Anything else is the file itself."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.namelist():
            if Path(member).name == file:
                return archive.read(member)
        inner = (archive.read(member) for member in archive.namelist() if member.lower().endswith(".zip"))
        return next((found for archived in inner if (found := _member(archived, file)) is not None), None)


# Addresses: the zip of the data set's page, then the place in the repository's old layout. Checksums: of copies on
# GitHub whose rows agree with those of other copies.
OLD = f"{UCI}/ml/machine-learning-databases"
TABULAR_SETS = {
    "bioconcentration": TabularSet(
        "Grisoni_et_al_2016_EnvInt88.csv", "9f028675d5ab833b1d1947d17f796c73",
        (
            f"{UCI}/static/public/510/qsar+bioconcentration+classes+dataset.zip",
            f"{OLD}/00510/Grisoni_et_al_2016_EnvInt88.csv",
        ),
        rows=779, features=45, target="logBCF", unused=("CAS", "SMILES", "Set", "Class"),
        categories=("nHM", "N-072", "B02[C-N]", "F04[C-O]"),
    ),
    "facebook": TabularSet(  # the inputs leak: they include other counts of the same post's success
        "dataset_Facebook.csv", "d2269468ac262a97e138be5fcfd8dd85",
        (f"{UCI}/static/public/368/facebook+metrics.zip", f"{OLD}/00368/Facebook_metrics.zip"),
        rows=495, features=21, target="Lifetime Post Total Impressions", categories=("Type",), separator=";",
    ),
    "weather": TabularSet(  # the file's last two rows, minima and maxima of all, have no station and are not complete
        "Bias_correction_ucl.csv", "096ba8a67b7c7e577ca1f05f5383c6f6",
        (
            f"{UCI}/static/public/514/bias+correction+of+numerical+prediction+model+temperature+forecast.zip",
            f"{OLD}/00514/Bias_correction_ucl.csv",
        ),
        rows=1000, features=45, target="Next_Tmax", unused=("Date", "Next_Tmin"),
        categories=("station",), drop_first=True,
    ),
    "abalone": TabularSet(
        "abalone.data", "27d6700f995481b739fe1a392b7d023b",
        (f"{UCI}/static/public/1/abalone.zip", f"{OLD}/abalone/abalone.data"),
        rows=1000, features=9, target="Rings", categories=("Sex",), drop_first=True,
        names=("Sex", "Length", "Diameter", "Height", "Whole", "Shucked", "Viscera", "Shell", "Rings"),
    ),
}  # fmt: skip
