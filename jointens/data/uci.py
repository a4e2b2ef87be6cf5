"""The paper's four regression sets, read from the files that the UCI repository has of them.

The paper names them and gives no preparation. This one is that of the first author's earlier repository
(alanjeffares/TANGOS, ICLR 2023), which uses the same four names; that the paper prepared them so is an inference.
"""

from __future__ import annotations

import io
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..common.errors import InputError
from ..common.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "tabular"  # of the data root
UCI = "https://archive.ics.uci.edu"
SECONDS = 60  # that a server may take for an answer


class TabularSet(NamedTuple):
    """What is known of one of the four."""

    file: str
    addresses: tuple[str, ...]  # of the file, or of a zip that holds it; the first that serves
    separator: str
    header: tuple[str, ...]  # the columns, named here if the file does not name them
    named: bool  # whether its first line does
    lines: int  # rows in the file
    rows: int  # rows that are used
    features: int
    prepare: Callable[[pd.DataFrame], tuple[pd.DataFrame, pd.Series]]


def read_tabular(name: str, root: Path, download: bool = False) -> tuple[Tensor, Tensor]:
    """One of the four sets, as it is before the split: features in the order of the file's columns.

    Args:
        name: as in `TABULAR_SETS`.
        root: the data root; the file is in its folder tabular/, or in the root itself.
        download: fetch it into root/tabular if it is in neither.

    Returns:
        inputs `(N, D)` and targets `(N,)`, float64.

    Raises:
        InputError: the file is missing, is not what it should be, or cannot be fetched; the message says which.
    """
    about = TABULAR_SETS[name]
    places = [root / FOLDER / about.file, root / about.file]
    try:
        path = next((place for place in places if place.is_file()), None)
        content = path.read_bytes() if path else None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {places[0]} is not readable ({error.strerror})") from error
    if content is not None:
        return _prepared(about, content, f"{name} cannot be read: {path}")
    if not download:
        raise InputError(
            f"{name} cannot be read: {places[0]} is missing; give data_root, the folder that holds {FOLDER}/, or "
            "download=true to fetch it"
        )
    content = _fetched(name, about)
    prepared = _prepared(about, content, f"{name} cannot be downloaded: {about.file} of {UCI}")
    try:
        places[0].parent.mkdir(parents=True, exist_ok=True)
        write_atomically(places[0], content)
    except OSError as error:
        raise InputError(f"{name} cannot be downloaded to {places[0]}: {error.strerror}") from error
    return prepared


# ---- from bytes to numbers


def _prepared(about: TabularSet, content: bytes, where: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets from a file's content; `where` begins the message if that is not what it should be."""
    import pandas as pd

    try:
        frame = pd.read_csv(io.BytesIO(content), sep=about.separator, header=0 if about.named else None)
    except (ValueError, pd.errors.ParserError) as error:  # no UTF-8, no rows, ragged rows
        raise InputError(f"{where} is no table: {error}") from error
    columns = tuple(str(column).removeprefix("#") for column in frame.columns)  # copies write CAS as #CAS
    if not about.named and len(columns) == len(about.header):
        columns = about.header
    if absent := [column for column in about.header if about.named and column not in columns]:
        raise InputError(f"{where} has no column {absent[0]}")
    if len(columns) != len(about.header):
        raise InputError(f"{where} has {len(columns)} columns, not {len(about.header)}")
    if columns != about.header:
        raise InputError(f"{where} has its columns in another order")
    if len(frame) != about.lines:
        raise InputError(f"{where} has {len(frame)} rows, not {about.lines}")
    frame.columns = pd.Index(columns)
    inputs, targets = about.prepare(frame)
    for column, values in (*inputs.items(), (targets.name, targets)):
        numbers = pd.to_numeric(values, errors="coerce")
        if not np.isfinite(numbers.to_numpy(dtype=float)).all():
            wrong = values[~np.isfinite(numbers.astype(float))].iloc[0]
            raise InputError(f"{where} holds {str(wrong)!r} in the column {column}, not a number")
    if inputs.shape != (about.rows, about.features):
        rows, features = inputs.shape
        raise InputError(f"{where} gives {rows} rows of {features} features, not {about.rows} of {about.features}")
    arrays = (of.astype(float).to_numpy(copy=True) for of in (inputs, targets))
    values, wanted = map(torch.from_numpy, arrays)
    return values, wanted


def _one_hot(frame: pd.DataFrame, columns: list[str], *, drop_first: bool) -> pd.DataFrame:
    import pandas as pd

    return pd.get_dummies(frame, columns=columns, drop_first=drop_first)


def _bioconcentration(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """The nine descriptors of a molecule, four of them as categories; the logarithm of its bioconcentration factor."""
    descriptors = frame.drop(columns=["CAS", "SMILES", "Set", "Class", "logBCF"])
    return _one_hot(descriptors, ["nHM", "N-072", "B02[C-N]", "F04[C-O]"], drop_first=False), frame["logBCF"]


def _facebook(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """A post and its impressions. The inputs leak: they are also what else was counted of the same post's success."""
    frame, target = frame.dropna(), "Lifetime Post Total Impressions"
    return _one_hot(frame.drop(columns=target), ["Type"], drop_first=False), frame[target]


def _weather(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """A forecast for a station, and the next day's maximum temperature there.

    The two rows at the file's end, minima and maxima of all, have no station and go with the incomplete ones.
    """
    frame = frame.dropna().head(1000)
    kept = frame.drop(columns=["Date", "Next_Tmin", "Next_Tmax"])
    return _one_hot(kept, ["station"], drop_first=True), frame["Next_Tmax"]


def _abalone(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """The measures of a shellfish, and the rings of its shell, which tell its age."""
    frame = frame.head(1000)
    return _one_hot(frame.drop(columns="Rings"), ["Sex"], drop_first=True), frame["Rings"]


# ---- from the network


def _fetched(name: str, about: TabularSet) -> bytes:
    """The content of the file, from the first address that serves it."""
    told = []
    for address in about.addresses:
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "jointens"})
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                content = _member(answer.read(), about.file)
        except (OSError, HTTPException, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
            told.append(f"{address}: {error or type(error).__name__}")
            continue
        if content is not None:
            return content
        told.append(f"{address} holds no {about.file}")
    raise InputError(f"{name} cannot be downloaded: {'; '.join(told)}")


def _member(content: bytes, file: str) -> bytes | None:
    """The file of that name in a zip, or in a zip within; None if there is none. What is no zip is the file itself."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.namelist():
            if Path(member).name == file:
                return archive.read(member)
        inner = (archive.read(member) for member in archive.namelist() if member.lower().endswith(".zip"))
        return next((found for of in inner if (found := _member(of, file)) is not None), None)


# Columns as the files name them.
BIOCONCENTRATION = (
    "CAS", "SMILES", "Set", "nHM", "piPC09", "PCD", "X2Av", "MLOGP", "ON1V", "N-072", "B02[C-N]", "F04[C-O]", "Class",
    "logBCF",
)  # fmt: skip
FACEBOOK = (
    "Page total likes", "Type", "Category", "Post Month", "Post Weekday", "Post Hour", "Paid",
    "Lifetime Post Total Reach", "Lifetime Post Total Impressions", "Lifetime Engaged Users", "Lifetime Post Consumers",
    "Lifetime Post Consumptions", "Lifetime Post Impressions by people who have liked your Page",
    "Lifetime Post reach by people who like your Page",
    "Lifetime People who have liked your Page and engaged with your post", "comment", "like", "share",
    "Total Interactions",
)  # fmt: skip
WEATHER = (
    "station", "Date", "Present_Tmax", "Present_Tmin", "LDAPS_RHmin", "LDAPS_RHmax", "LDAPS_Tmax_lapse",
    "LDAPS_Tmin_lapse", "LDAPS_WS", "LDAPS_LH", "LDAPS_CC1", "LDAPS_CC2", "LDAPS_CC3", "LDAPS_CC4", "LDAPS_PPT1",
    "LDAPS_PPT2", "LDAPS_PPT3", "LDAPS_PPT4", "lat", "lon", "DEM", "Slope", "Solar radiation", "Next_Tmax", "Next_Tmin",
)  # fmt: skip
ABALONE = ("Sex", "Length", "Diameter", "Height", "Whole", "Shucked", "Viscera", "Shell", "Rings")

# Addresses: the zip of the data set's page, then the file's place in the repository's old layout.
OLD = f"{UCI}/ml/machine-learning-databases"
TABULAR_SETS = {
    "bioconcentration": TabularSet(
        "Grisoni_et_al_2016_EnvInt88.csv",
        (
            f"{UCI}/static/public/510/qsar+bioconcentration+classes+dataset.zip",
            f"{OLD}/00510/Grisoni_et_al_2016_EnvInt88.csv",
        ),
        ",", BIOCONCENTRATION, named=True, lines=779, rows=779, features=45, prepare=_bioconcentration,
    ),
    "facebook": TabularSet(
        "dataset_Facebook.csv",
        (f"{UCI}/static/public/368/facebook+metrics.zip", f"{OLD}/00368/Facebook_metrics.zip"),
        ";", FACEBOOK, named=True, lines=500, rows=495, features=21, prepare=_facebook,
    ),
    "weather": TabularSet(
        "Bias_correction_ucl.csv",
        (
            f"{UCI}/static/public/514/bias+correction+of+numerical+prediction+model+temperature+forecast.zip",
            f"{OLD}/00514/Bias_correction_ucl.csv",
        ),
        ",", WEATHER, named=True, lines=7752, rows=1000, features=45, prepare=_weather,
    ),
    "abalone": TabularSet(
        "abalone.data",
        (f"{UCI}/static/public/1/abalone.zip", f"{OLD}/abalone/abalone.data"),
        ",", ABALONE, named=False, lines=4177, rows=1000, features=9, prepare=_abalone,
    ),
}  # fmt: skip
