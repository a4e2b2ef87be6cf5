"""An experiment, its name and its results folder: what is to be trained, and where what was trained lies.

keys.py           the keys of an experiment: type, default, range, meaning
key_types.py      types that several keys have, and what they check
values.py         values as users write them, read and checked
config.py         `Experiment`: the keys together, and what follows from them
identity.py       the hash that names an experiment's numbers
schema.py         the JSON schema of profiles
record.py         the record of one cell
record_reader.py  the files of cells, each read once
folder.py         the results folder
preparations.py   how a table of the user's own was prepared
frames.py         records as tables
parameters.py     the parameters that papermill hands to a notebook
"""

from .config import Experiment
from .folder import RELEASED, Results
from .frames import AUTHORS_COLUMNS, authors_table
from .frames import tests as tests_of
from .keys import KeyDescription
from .parameters import check_parameters
from .record import CHECKPOINTS, Cell, CellRecord, History, Metrics, canonical_beta
from .values import check_value

__all__ = [
    "AUTHORS_COLUMNS", "CHECKPOINTS", "RELEASED", "Cell", "CellRecord", "Experiment", "History",
    "KeyDescription", "Metrics", "Results", "authors_table", "canonical_beta",
    "check_parameters", "check_value", "tests_of",
]  # fmt: skip
