"""Load functions of the user's own by name, `import:MODULE:FUNCTION`, from the working directory or sys.path.

A module is run from the very bytes whose fingerprint names it. So an edited file is another module at once, also in a
notebook that has imported it before, and no stale bytecode stands for it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import InputError

IMPORT = "import:"
_STARTED = time.time_ns()
_loaded: dict[str, tuple[ModuleType, str]] = {}  # by module name: what was run here, and its fingerprint


@dataclass(frozen=True)
class OwnFunction:
    """A function of the user's own and the source that it comes from."""

    name: str
    """`import:MODULE:FUNCTION`."""
    function: Callable
    file: Path
    """Where the module's source lies."""
    fingerprint: str
    """Of the source file, 16 digits."""

    def __call__(self, *arguments: Any) -> Any:
        """Call the function; an exception in it becomes an InputError that names it and the line."""
        try:
            return self.function(*arguments)
        except Exception as error:
            raise InputError(f"{self.name} raises {_described(error, self.file)}") from error


def fingerprint_of(content: bytes) -> str:
    """Return the fingerprint of a file's content: 16 digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def split_import(name: str) -> tuple[str, str]:
    """Split `import:MODULE:FUNCTION` into module and function; raises InputError if it is not of this form."""
    module, _, function = name.removeprefix(IMPORT).partition(":")
    if not (function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise InputError(f"{name!r} names no function; allowed is {IMPORT}MODULE:FUNCTION")
    return module, function


def find_source(name: str) -> Path:
    """Find the source file of `import:MODULE:FUNCTION`.

    Raises:
        InputError: there is no such module, or it has no Python source.
    """
    module, _ = split_import(name)
    return Path(_find_spec(name, module).origin)


def load_function(name: str) -> OwnFunction:
    """Import the function that `import:MODULE:FUNCTION` names.

    Raises:
        InputError: no such module or function, or the module raises an exception; the message says which.
    """
    module_name, function_name = split_import(name)
    spec = _find_spec(name, module_name)
    file = Path(spec.origin)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot read {file}: {error.strerror}") from error
    fingerprint = fingerprint_of(content)
    module = _run(name, spec, content, fingerprint)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InputError(f"{name}: {file} has no function {function_name}")
    return OwnFunction(name, function, file, fingerprint)


def _find_spec(name: str, module: str) -> ModuleSpec:
    folder = os.getcwd()
    if not {"", folder} & set(sys.path):  # the console script has another folder there
        sys.path.insert(0, folder)
    parent = module.rpartition(".")[0]
    importlib.invalidate_caches()  # or a file that was written a moment ago may be overlooked
    try:
        path = importlib.import_module(parent).__path__ if parent else None
        finders = [finder.find_spec for finder in sys.meta_path]
        if path is None:  # `sys.modules` may hold a module of this name from a folder that was left since
            finders.insert(0, lambda fullname, _: PathFinder.find_spec(fullname, [folder]))
        specs = (find(module, path) for find in finders)
        spec = next((spec for spec in specs if spec is not None and spec.origin), None)
    except (ModuleNotFoundError, AttributeError):
        spec = None
    except Exception as error:  # of the package that the module is in
        raise InputError(f"{name}: {parent} cannot be imported: {_described(error)}") from error
    if spec is None:
        raise InputError(f"{name}: no module {module} in {folder} or on sys.path")
    if not spec.origin.endswith(".py"):
        raise InputError(f"{name}: {module} has no Python source")
    return spec


def _run(name: str, spec: ModuleSpec, content: bytes, fingerprint: str) -> ModuleType:
    """Return the module of this content: what `sys.modules` holds if it is that, else run it and put it there."""
    present = sys.modules.get(spec.name)
    if present is not None and getattr(present, "__file__", None) == spec.origin:
        ours, known = _loaded.get(spec.name, (None, None))
        if known == fingerprint if ours is present else Path(spec.origin).stat().st_mtime_ns < _STARTED:
            return present
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        exec(compile(content, spec.origin, "exec"), vars(module))
    except Exception as error:
        if present is None:
            del sys.modules[spec.name]
        else:
            sys.modules[spec.name] = present
        raise InputError(f"{name}: {spec.name} cannot be imported: {_described(error, spec.origin)}") from error
    parent, _, child = spec.name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    _loaded[spec.name] = module, fingerprint
    return module


def _described(error: Exception, file: str | Path = "") -> str:
    """Describe an exception in a line: its type, its message, and the line of the file in which it arose."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    where = f" ({Path(file).name}, line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}{f': {error}' if str(error) else ''}{where}"
