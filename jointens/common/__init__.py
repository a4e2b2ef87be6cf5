"""Errors, files, seeds, devices and names: what every room uses, and what knows no experiment.

errors.py         InputError, the error of a user's mistake
paths.py          default folders: runs, data, published results, profiles
files.py          files and folders that are written completely or not at all
locks.py          lock files
numbers.py        the largest number that is accepted
names.py          unknown names, and the nearest known one
own_sources.py    names of the user's own tables and functions, and fingerprints of their files
own_functions.py  functions by name, `import:MODULE:FUNCTION`
yaml_json.py      YAML 1.2 and JSON files
seeding.py        named, reproducible seed streams
device.py         devices, precision, CUDA streams
"""

from .device import PRECISIONS, autocast, choose_device, float32_on_cpu, has_bfloat16, side_by_side, working_on
from .errors import InputError
from .files import read_npz, remove_leftovers, whole_folder, write_atomically, writing
from .locks import is_file_of, is_locked, lock_file, try_lock
from .names import check_names, unknown_name
from .numbers import LARGEST
from .own_functions import IMPORT, OwnFunction, fingerprint_of, load_function
from .own_sources import CSV, absolute_name, check_unchanged, folder_name, short_name, table_path
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
    "CSV", "IMPORT", "LARGEST", "PRECISIONS", "InputError", "OwnFunction", "absolute_name", "autocast",
    "check_names", "check_unchanged", "choose_device", "default_data_root", "default_out", "derived_seed",
    "dump_yaml", "expanded", "fingerprint_of", "float32_on_cpu", "folder_name", "generator", "has_bfloat16",
    "is_file_of", "is_locked", "load_function", "lock_file", "paper_values_file", "profiles_root", "published_root",
    "read_json_object", "read_npz", "read_yaml", "read_yaml_file", "read_yaml_texts", "remove_leftovers",
    "repository", "short_name", "side_by_side", "table_path", "try_lock", "unknown_name", "whole_folder",
    "working_on", "write_atomically", "writing",
]  # fmt: skip
