"""Runs the notebooks for the book: each `notebooks/NAME.py` through papermill, into an executed `NAME.ipynb`.

    python book/build.py overlay        into _build/overlay, a copy of the book's sources; no tracked file changes
    python book/build.py refresh        into notebooks/, those whose stored outputs are stale (executed.py)
    python book/build.py refresh all    into notebooks/, every one

The notebooks are the chapters in _toc.yml; others in notebooks/ are left alone. Refreshing trains afresh: nothing that
was trained before is used. It stops before it overwrites edits that NAME.ipynb alone has. A figure whose cell has the
tag "picture" is also kept as book/images/NAME.png, for the intro and the README. The stored outputs hold nothing that
differs between two equal runs: no times, no progress bars, no random cell names.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import executed
from chapters import chapters
from executed import ROOT

OVERLAY = ROOT / "_build" / "overlay"
SOURCES = ("_config.yml", "_toc.yml", "book", "notebooks", "tests")  # the book shows tests, too


def sources() -> list[Path]:
    return [ROOT / "notebooks" / f"{name}.py" for name in chapters(ROOT)]


def overlay() -> None:
    """Copy the book's sources and execute every notebook in the copy; finished runs in runs/ are loaded."""
    shutil.rmtree(OVERLAY, ignore_errors=True)
    for name in SOURCES:
        origin, copy = ROOT / name, OVERLAY / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
        else:
            shutil.copy(origin, copy)
    for source in sources():
        execute(source, OVERLAY / "notebooks" / f"{source.stem}.ipynb")


def refresh(*, everything: bool = False) -> None:
    """Execute stale notebooks in place, training anew, so that their outputs come from the code as it is."""
    if edited := [source.stem for source in sources() if executed.has_edits_of_its_own(ROOT, source.stem)]:
        names, texts = (" ".join(f"notebooks/{name}{kind}" for name in edited) for kind in (".ipynb", ".py"))
        sys.exit(
            f"{names}: edited, but the edits are not in the .py beside it, from which notebooks are made. Keep them "
            f"with `jupytext --to py:percent {names}`, or drop them with `jupytext --update --to ipynb {texts}`"
        )
    with tempfile.TemporaryDirectory() as runs:
        os.environ["JOINTENS_RUNS"] = runs
        for source in sources():
            if everything or executed.stale(ROOT, source.stem):
                execute(source, source.with_suffix(".ipynb"))
            else:
                print(f"{source.stem}: its outputs are those of the code as it is", file=sys.stderr)


def execute(source: Path, target: Path) -> None:
    """Run `source` with its default parameters and store the executed notebook in `target`, which is replaced."""
    import jupytext
    import nbformat
    import papermill

    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem}-{number}"  # jupytext would draw them at random
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / target.name, Path(folder) / f"executed-{target.name}"
        jupytext.write(notebook, before, fmt="ipynb")
        print(f"{source.stem}:", file=sys.stderr, flush=True)
        came_from, start = executed.sources_of(ROOT, source.stem), time.perf_counter()
        papermill.execute_notebook(before, after, cwd=target.parent, kernel_name="python3", progress_bar=True)
        seconds = time.perf_counter() - start
        result = stripped(nbformat.read(after, as_version=4))
    nbformat.write(result, target)
    images = target.parent.parent / "book" / "images"
    images.mkdir(exist_ok=True)
    for name, content in executed.pictures(result).items():
        (images / name).write_bytes(content)
    finished = datetime.now(UTC).isoformat(timespec="minutes")
    executed.write(target, finished=finished, seconds=seconds, sources=came_from)


def stripped(notebook):
    """The notebook without what papermill, the kernel and progress bars leave behind and a reader does not need."""
    notebook.metadata.pop("papermill", None)
    # As Jupyter Lab's jupytext would write it, so that saving an unchanged notebook changes nothing.
    settings = tomllib.loads((ROOT / "notebooks" / "jupytext.toml").read_text())
    notebook.metadata["jupytext"] = {name: value for name, value in settings.items() if name.endswith("filter")}
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            cell.outputs = _merged(output for output in cell.outputs if output.get("name") != "stderr")
            for output in cell.outputs:
                output.get("metadata", {}).pop("papermill", None)
    return notebook


def _merged(outputs: Iterable) -> list:
    """The outputs with what was printed in one piece: where the kernel cut it depends on the moment."""
    merged = []
    for output in outputs:
        if merged and output.output_type == merged[-1].output_type == "stream":
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


if __name__ == "__main__":
    commands = {("overlay",): overlay, ("refresh",): refresh, ("refresh", "all"): lambda: refresh(everything=True)}
    command = commands.get(tuple(sys.argv[1:]))
    try:
        sys.exit(command() if command else __doc__)
    except SyntaxError as error:
        sys.exit(f"{error.filename}: line {error.lineno} is not Python: {error.msg}")
