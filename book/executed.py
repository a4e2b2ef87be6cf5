"""What the outputs stored in a notebook came from, and whether that is still what lies beside them.

`notebooks/executed.json` holds a record for each notebook, written when it is executed: when, how long, on what, and
the fingerprints of everything that its outputs depend on. The status page shows the first part; `stale` compares the
second with the files as they are. A fingerprint is of a file's whole text: a changed comment counts, too.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import platform
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from jointens import Experiment, InputError
from jointens.common.files import write_atomically
from jointens.common.yaml_json import read_yaml_file
from jointens.data.uci import TABULAR_SETS
from jointens.reports import published

ROOT = Path(__file__).resolve().parent.parent
RECORDS = "executed.json"


def read(notebooks: Path) -> dict[str, dict[str, Any]]:
    """The records in a folder of notebooks, by the notebook's name; none if the file is missing or damaged."""
    try:
        return json.loads((notebooks / RECORDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write(notebook: Path, *, finished: str, seconds: float, sources: dict[str, str]) -> None:
    """Record that `notebook` has been executed.

    sources: what `sources_of` gave *before* that; what was edited meanwhile is then found stale.
    """
    records = read(notebook.parent)
    records[notebook.stem] = {
        "finished": finished,
        "seconds": round(seconds),
        "profile": next(iter(profiles_of(ROOT, notebook.stem)), None),
        **machine(),
        "outputs": fingerprint_of_outputs(nbformat.read(notebook, as_version=4)),
        "from": sources,
    }
    records = {name: records[name] for name in sorted(records) if notebook.with_name(f"{name}.ipynb").exists()}
    text = json.dumps(records, indent=1, ensure_ascii=False)
    write_atomically(notebook.parent / RECORDS, f"{text}\n".encode())


def stale(root: Path, name: str) -> list[str]:
    """Why the outputs stored in `notebooks/NAME.ipynb` are not those of the files around it; empty if they are."""
    source, notebook = (root / "notebooks" / f"{name}{suffix}" for suffix in (".py", ".ipynb"))
    record = read(root / "notebooks").get(name, {})
    if not {"from", "outputs"} <= record.keys() or not notebook.exists():
        return [f"{RECORDS} has no record of it"]
    then, now = record["from"], sources_of(root, name)
    reasons = [
        f"{origin} has changed" for origin in sorted(then.keys() | now.keys()) if then.get(origin) != now.get(origin)
    ]
    try:
        stored = nbformat.read(notebook, as_version=4)
    except nbformat.reader.NotJSONError:
        return [*reasons, "it is damaged"]
    if record["outputs"] != fingerprint_of_outputs(stored):
        reasons.append("its outputs are not those that were recorded when it was executed")
    if jupytext.writes(stored, "py:percent") != source.read_text(encoding="utf-8"):
        reasons.append(f"its cells are not those of {source.name}")
    for picture, content in pictures(stored).items():
        file = root / "book" / "images" / picture
        if not file.exists() or file.read_bytes() != content:
            reasons.append(f"book/images/{picture} is not the figure that it holds")
    return reasons


def has_edits_of_its_own(root: Path, name: str) -> bool:
    """Whether the cells of a notebook are neither those of its `.py`, nor those of it when it was executed last."""
    source, notebook = (root / "notebooks" / f"{name}{suffix}" for suffix in (".py", ".ipynb"))
    try:
        text = jupytext.writes(nbformat.read(notebook, as_version=4), "py:percent")
    except (OSError, nbformat.reader.NotJSONError):
        return False  # there is nothing to keep
    executed_last = read(root / "notebooks").get(name, {}).get("from", {}).get(f"notebooks/{name}.py")
    own = _fingerprint(text.encode())
    return own != _fingerprint(source.read_bytes()) and own != executed_last


def pictures(notebook: nbformat.NotebookNode) -> dict[str, bytes]:
    """The figures of cells with the tag "picture", which the intro and the README show: file name → PNG."""
    found = {}
    for cell in notebook.cells:
        if "picture" in cell.metadata.get("tags", []):
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    found[f"{cell.metadata.mystnb.figure.name}.png"] = base64.b64decode(output.data["image/png"])
    return found


# ---- what the outputs depend on


def sources_of(root: Path, name: str) -> dict[str, str]:
    """Fingerprints of the notebook's source, its profiles, the library's files it imports, and the pinned packages.

    Of a notebook that shows published results, these as well, with the profiles that say what is to be published.
    """
    source, profiles = root / "notebooks" / f"{name}.py", root / "notebooks" / "profiles"
    library = root / "jointens"
    shown = imported_directly(library, source)
    files = [source, *sorted(imported(library, source))]
    files += [profiles / f"{profile}.yml" for profile in profiles_of(root, name)]
    if library / "reports" / "claims.py" in shown:
        files.append(root / "book" / "claims.yml")
        shown = shown | imported_directly(library, library / "reports" / "claims_data.py")
    if library / "reports" / "table1.py" in shown:
        files.append(root / "book" / "paper_values.yml")
    if library / "reports" / "published.py" in shown:
        files += [profiles / f"{name}.yml" for name in dict.fromkeys(of.profile for of in published.settings())]
        files += sorted(file for kind in ("*.yml", "*.json") for file in (root / "results").rglob(kind))
    if library / "reports" / "published_tables.py" in shown:
        files += [profiles / f"{name}.yml" for name in TABULAR_SETS]
        files += sorted((root / "results" / "tabular").iterdir())
    return {str(file.relative_to(root).as_posix()): _fingerprint(file.read_bytes()) for file in files} | pins(root)


def imported(package: Path, source: Path) -> set[Path]:
    """The files of `package` that a source file imports, directly or through others."""
    found, waiting = set(), [source]
    while waiting:
        for file in imported_directly(package, waiting.pop()) - found:
            found.add(file)
            waiting.append(file)
    return found


def imported_directly(package: Path, source: Path) -> set[Path]:
    """The files of `package` that the imports in a source file run, those of the folders above a module included."""
    files = set()
    for name in _names_imported(package, source):
        for depth in range(1, len(name) + 1):
            above = package.parent.joinpath(*name[:depth])
            files |= {file for file in (above / "__init__.py", above.with_suffix(".py")) if file.exists()}
    return files


def _names_imported(package: Path, source: Path) -> Iterator[tuple[str, ...]]:
    """What may be modules of the package among the imports of a file, as parts of dotted names."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"), filename=str(source))):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = ()
            if node.level:  # relative to the folder of the file, or to one above it
                folder = source.parents[node.level - 1]
                inside = (package.name, *folder.relative_to(package).parts)
            origin = inside + (tuple(node.module.split(".")) if node.module else ())
            names = [(*origin, alias.name) for alias in node.names]
        else:
            continue
        yield from (name for name in names if name[0] == package.name)


def pins(root: Path) -> dict[str, str]:
    """The pinned versions of the packages that the library itself uses."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned: dict[str, list[str]] = {}
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        package, _, version = line.partition("==")
        pinned.setdefault(package, []).append(version)
    direct = [re.match(r"[\w.-]+", requirement)[0].lower() for requirement in project["dependencies"]]
    return {f"constraints.txt: {package}": " or ".join(pinned.get(package, [])) for package in direct}


def profiles_of(root: Path, name: str) -> list[str]:
    """The profiles that a notebook's cell of parameters stands for.

    Either it holds a profile's keys and values, and perhaps more; or it names profiles, as paths `profiles/NAME.yml`.
    """
    cells = jupytext.read(root / "notebooks" / f"{name}.py").cells
    code = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    try:
        assigned = [node for node in ast.parse("\n".join(code)).body if isinstance(node, ast.Assign)]
        values = {target.id: ast.literal_eval(node.value) for node in assigned for target in node.targets}
        keys = {key: value for key, value in values.items() if key in Experiment.names() and value is not None}
        files = sorted((root / "notebooks" / "profiles").glob("*.yml"))
        named = [file.stem for value in values.values() for file in files if value == f"profiles/{file.name}"]
        return named or [file.stem for file in files if _yaml(file) == keys][:1]
    except (ValueError, AttributeError):  # not plain values: nothing that a profile could hold
        return []


def _yaml(file: Path) -> Any:
    try:
        return read_yaml_file(file)
    except InputError:
        return None


def fingerprint_of_outputs(notebook: nbformat.NotebookNode) -> str:
    """Of all outputs; what surrounds them in the file has no part in it."""
    return _fingerprint(json.dumps([cell.get("outputs") for cell in notebook.cells], sort_keys=True).encode())


def _fingerprint(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()[:16]  # whatever git made of the line ends


# ---- what it ran on


def machine() -> dict[str, str]:
    """The kind of machine and the versions, without anything that names a person or a place."""
    import matplotlib
    import numpy
    import torch

    from jointens.common.device import choose_device

    device = choose_device("auto")
    if device.type == "cuda":
        told = torch.cuda.get_device_name(device)
    else:
        told = f"CPU, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    modules = {"Python": platform.python_version(), "torch": torch.__version__.partition("+")[0]}
    modules |= {module.__name__: module.__version__ for module in (numpy, matplotlib)}
    return {"device": told, "versions": ", ".join(f"{name} {version}" for name, version in modules.items())}
