"""What the outputs stored in a notebook came from, and whether that is still what lies beside them.

`notebooks/executed.json` holds a record for each notebook, written when it is executed: when, how long, on what, and
the fingerprints of everything that its outputs depend on. The status page shows the first part; `stale` compares the
second with the files as they are. A fingerprint is of a file's whole text: a changed comment counts, too.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORDS = "executed.json"


def read(notebooks: Path) -> dict[str, dict[str, Any]]:
    """The records in a folder of notebooks, by the notebook's name."""
    file = notebooks / RECORDS
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def write(notebook: Path, *, finished: str, seconds: float) -> None:
    """Record that `notebook` has just been executed from the sources in this repository."""
    records = read(notebook.parent)
    records[notebook.stem] = {
        "finished": finished,
        "seconds": round(seconds),
        "profile": profile_of(ROOT, notebook.stem),
        **machine(),
        "outputs": fingerprint_of_outputs(notebook),
        "from": sources_of(ROOT, notebook.stem),
    }
    text = json.dumps(dict(sorted(records.items())), indent=1, ensure_ascii=False)
    (notebook.parent / RECORDS).write_text(text + "\n", encoding="utf-8")


def stale(root: Path, name: str) -> list[str]:
    """Why the outputs stored in `notebooks/NAME.ipynb` are not those of the files around it; empty if they are."""
    record = read(root / "notebooks").get(name)
    if record is None:
        return [f"{RECORDS} has no record of it"]
    then, now = record["from"], sources_of(root, name)
    reasons = [
        f"{source} has changed" for source in sorted(then.keys() | now.keys()) if then.get(source) != now.get(source)
    ]
    if record["outputs"] != fingerprint_of_outputs(root / "notebooks" / f"{name}.ipynb"):
        reasons.append("its outputs are not those that were recorded when it was executed")
    return reasons


# ---- what the outputs depend on


def sources_of(root: Path, name: str) -> dict[str, str]:
    """Fingerprints of the notebook's source, its profile, the library's files it imports, and the pinned packages."""
    source = root / "notebooks" / f"{name}.py"
    files = [source, *sorted(imported(root / "jointens", source))]
    if profile := profile_of(root, name):
        files.append(root / "notebooks" / "profiles" / f"{profile}.yml")
    return {str(file.relative_to(root).as_posix()): _fingerprint(file.read_bytes()) for file in files} | pins(root)


def imported(package: Path, source: Path) -> set[Path]:
    """The files of `package` that a source file imports, directly or through others."""
    found, waiting = set(), [source]
    while waiting:
        for module in _names_imported(package.name, waiting.pop()):
            file = package / f"{module}.py"
            if file.exists() and file not in found:
                found.add(file)
                waiting.append(file)
    return found


def _names_imported(package: str, source: Path) -> Iterator[str]:
    """What may be modules of the (flat) package among the imports of a file; other names match no file."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(filter(None, [package if node.level else None, node.module]))
            dotted = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for top, *rest in (name.split(".") for name in dotted):
            if top == package:
                yield from ("__init__", *rest)


def pins(root: Path) -> dict[str, str]:
    """The pinned versions of the packages that the library itself uses."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned: dict[str, list[str]] = {}
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        package, _, version = line.partition("==")
        pinned.setdefault(package, []).append(version)
    direct = [re.match(r"[\w.-]+", requirement)[0].lower() for requirement in project["dependencies"]]
    return {f"constraints.txt: {package}": " or ".join(pinned.get(package, [])) for package in direct}


def profile_of(root: Path, name: str) -> str | None:
    """The profile whose keys and values are those of the notebook's cell of parameters."""
    import jupytext
    import yaml

    cells = jupytext.read(root / "notebooks" / f"{name}.py").cells
    code = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    values = {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for statement in ast.parse("\n".join(code)).body
        if isinstance(statement, ast.Assign)
    }
    for profile in sorted((root / "notebooks" / "profiles").glob("*.yml")):
        if yaml.safe_load(profile.read_text(encoding="utf-8")) == values:
            return profile.stem
    return None


def fingerprint_of_outputs(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return _fingerprint(json.dumps([cell.get("outputs") for cell in cells], sort_keys=True).encode())


def _fingerprint(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


# ---- what it ran on


def machine() -> dict[str, str]:
    """The kind of machine and the versions, without anything that names a person or a place."""
    import matplotlib
    import numpy
    import torch

    from jointens.training import choose_device

    device = choose_device("auto")
    if device.type == "cuda":
        told = torch.cuda.get_device_name(device)
    else:
        told = f"CPU, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    modules = {"Python": platform.python_version(), "torch": torch.__version__.partition("+")[0]}
    modules |= {module.__name__: module.__version__ for module in (numpy, matplotlib)}
    return {"device": told, "versions": ", ".join(f"{name} {version}" for name, version in modules.items())}
