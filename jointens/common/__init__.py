"""What every room uses and nothing of which knows an experiment.

errors.py      InputError, the error of a user's mistake
paths.py       default folders: runs, data, published results, profiles
files.py       files and folders that are written whole or not at all
numbers.py     the largest number that is accepted
names.py       unknown names, and the nearest known one
yaml_json.py   YAML 1.2 and JSON files
seeding.py     named, reproducible seed streams
device.py      devices, precision, CUDA streams
"""

from .device import PRECISIONS, autocast, choose_device, side_by_side, warn_if_emulated, working_on
from .errors import InputError
from .files import remove_leftovers, whole_folder, write_atomically
from .names import check_names, unknown_name
from .numbers import LARGEST
from .paths import (
    default_data_root,
    default_out,
    expanded,
    paper_values_file,
    profiles_root,
    published_root,
    repository,
)
from .seeding import derived_seed, generator
from .yaml_json import dump_yaml, read_json_object, read_yaml, read_yaml_file, read_yaml_texts

__all__ = [
    "LARGEST",
    "PRECISIONS",
    "InputError",
    "autocast",
    "check_names",
    "choose_device",
    "default_data_root",
    "default_out",
    "derived_seed",
    "dump_yaml",
    "expanded",
    "generator",
    "paper_values_file",
    "profiles_root",
    "published_root",
    "read_json_object",
    "read_yaml",
    "read_yaml_file",
    "remove_leftovers",
    "repository",
    "read_yaml_texts", "side_by_side", "unknown_name",
    "warn_if_emulated",
    "whole_folder",
    "working_on",
    "write_atomically",
]  # fmt: skip
