"""Upkeep of the published results in this folder.

python results/publish.py FOLDER                                copy finished cells of a shipped profile to their place
python results/publish.py --missing [--minutes N] [key=value …] train and publish what is missing, in the list's order
python results/publish.py --list                                list all cells in the order to run, and a command
python results/publish.py --table                               bring the table in README.md up to date

Standard output has the list, or a line for each cell that is trained and published, and at last the folder or the file;
everything else goes to standard error.
Exit status: 0 done, 2 wrong input (one line), 130 interrupted, 143 terminated; the last two can be run again and go on.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jointens import Cell, Experiment, InputError, Results, run, stored_outputs
from jointens.analysis import sweep_diagnostics
from jointens.cli import Parser, parse_keys
from jointens.common import check_names, dump_yaml, profiles_root, published_root, write_atomically
from jointens.data import TABULAR_SETS
from jointens.reports import published, published_tables
from jointens.reports.published import Setting
from jointens.sweeps import OutOfTime, load_data

NAME = "publish.py"
TABLE = ("<!-- table: python results/publish.py --table -->", "<!-- end of table -->")


# ---- the list, and its summary


class Batch(NamedTuple):
    """Cells that one command trains."""

    setting: Setting
    beta_vals: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def cells(self) -> list[Cell]:
        return [Cell(beta, seed) for seed in self.seeds for beta in self.beta_vals]

    @property
    def missing(self) -> list[Cell]:
        results = self.setting.results  # which reads the profile and looks into the folder
        return [cell for cell in self.cells if not results.is_done(cell)]

    @property
    def command(self) -> str:
        betas, seeds = (str(list(values)).replace(" ", "") for values in (self.beta_vals, self.seeds))
        changes = " ".join(f"{key}={value}" for key, value in self.setting.changes.items())
        return (
            f"python -m jointens run notebooks/profiles/{self.setting.profile}.yml {changes} "
            f'"beta_vals={betas}" "seeds={seeds}" store_outputs=false save_weights=false'
        )


def batches() -> Iterator[Batch]:
    """List all cells to publish, in the order to run: of each panel both ends of one seed, its other β, other seeds."""
    for setting in published.settings():
        betas, seeds = setting.experiment.beta_vals, setting.experiment.seeds
        if setting.profile not in published.PANELS:
            yield Batch(setting, betas, seeds)
            continue
        yield Batch(setting, (betas[0], betas[-1]), seeds[:1])
        yield Batch(setting, betas[1:-1], seeds[:1])
        yield Batch(setting, betas, seeds[1:])


def list_of_cells() -> str:
    """Write the batches as a Markdown table and, below it, the command of the first one that lacks a cell."""
    rows = ["| | setting | β | seeds | published | missing |", "|---|---|---|---|---|---|"]
    next_one = []
    for number, batch in enumerate(batches(), 1):
        betas, seeds = (", ".join(f"{value:g}" for value in values) for values in (batch.beta_vals, batch.seeds))
        missing = len(batch.missing)
        done = len(batch.cells) - missing
        rows.append(f"| {number} | {batch.setting} | {betas} | {seeds} | {done or '–'} | {missing or '–'} |")
        if missing and not next_one:
            text = f"The next is row {number}; for the others, change profile, average, beta_vals and seeds:"
            next_one = ["", text, "", batch.command]
    return "\n".join([*rows, *next_one])


def table() -> str:
    """Write a Markdown table with a row for each profile: what it is, and how many of its cells are published."""
    rows = ["| profile | what it is | published | missing |", "|---|---|---|---|"]
    by_profile: dict[str, list[Setting]] = {}
    for setting in published.settings():
        by_profile.setdefault(setting.profile, []).append(setting)
    for profile, settings in by_profile.items():
        opened = [setting.results for setting in settings]  # each reads the profile
        done = sum(len(results.records()) for results in opened)
        missing = sum(len(results.experiment.cells) for results in opened) - done
        rows.append(f"| `{profile}` | {_title(profile)} | {done or '–'} | {missing or '–'} |")
    return "\n".join(rows)


def _title(profile: str) -> str:
    """Return the first sentence of the comment at the top of a profile, up to a semicolon."""
    lines = (profiles_root() / f"{profile}.yml").read_text(encoding="utf-8").splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(line.lstrip("# ") for line in comment if "yaml-language-server" not in line)
    return re.split(r"[.;]\s| python -m ", f"{text} ")[0].strip(" .")


def write_table() -> Path:
    """Bring the table in README.md up to date: what is published and what is missing."""
    file, content = published_root() / "README.md", table()
    try:
        before, _, rest = file.read_text(encoding="utf-8").partition(TABLE[0])
        after = rest.partition(TABLE[1])[2]
        write_atomically(file, f"{before}{TABLE[0]}\n{content}\n{TABLE[1]}{after}".encode())
    except OSError as error:
        raise InputError(f"cannot write the table to {file}: {error.strerror}") from error
    return file


# ---- publishing


def publish_folder(folder: Path) -> Path:
    """Publish the finished cells of a results folder; cells that are published already stay as they are.

    Of one of the paper's regression sets, a table of the whole sweep is published. Returns where it is.

    Raises:
        InputError: the folder's experiment is none of the shipped settings, or the files cannot be written.
    """
    source = Results.at(folder)
    experiment = source.experiment
    if experiment.dataset in TABULAR_SETS:
        for profile in published_tables.PROFILES:
            if published_tables.published_experiment(profile).hash == experiment.hash:
                return publish_table(source, profile)
    elif not source.converted:
        for setting in published.settings():
            if setting.experiment.hash == experiment.hash:
                return publish_cells(source, setting)
    known = ", ".join([*map(str, published.settings()), *published_tables.PROFILES])
    raise InputError(f"{folder} holds no results of a setting to publish; those are {known}")


def publish_cells(source: Results, setting: Setting) -> Path:
    """Copy the finished cells of a setting's grid to its place, without the name of the machine."""
    target = setting.results
    found = {record.cell: record for record in source.all_records()}
    cells = [cell for cell in setting.experiment.cells if cell in found]  # others belong to no figure
    if not cells:
        raise InputError(f"{source.folder} holds no finished cell of {setting}")
    if any(found[cell].provenance.get("skipped") for cell in cells):
        raise InputError(f"{source.folder} was trained without the images that were damaged, which is another data set")
    try:
        target.prepare()
        for cell in cells:
            if not target.is_done(cell):
                provenance = {name: value for name, value in found[cell].provenance.items() if name != "host"}
                record = dataclasses.replace(found[cell], provenance=provenance)
                write_atomically(target.path(cell), target.to_json(record))
        target.write_csv()
    except OSError as error:
        raise InputError(f"cannot publish to {target.folder}: {error.strerror} ({error.filename})") from error
    write_table()
    return target.folder


def publish_table(results: Results, profile: str) -> Path:
    """Write the table of a whole sweep of a profile, and whose it is; an earlier table of the profile is replaced.

    Raises:
        InputError: a cell of the profile's grid is missing, or its outputs are, or the files cannot be written.
    """
    import pandas as pd

    folder = published_tables.folder()
    shipped = published_tables.published_experiment(profile)
    sweep = Results(shipped, results.folder)
    if missing := [str(cell) for cell in shipped.cells if not sweep.is_done(cell)]:
        raise InputError(f"{results.folder} lacks {len(missing)} cells of its profile, {missing[0]} among them")
    frame, stored = sweep.tests(), stored_outputs(sweep)
    signs = [sweep_diagnostics.signs(stored, name).assign(checkpoint=name) for name in stored.checkpoints]
    diagnosed = {"fall": sweep_diagnostics.debiased(stored), "systematic_drift": pd.concat(signs)}
    keys = ["checkpoint", "beta", "seed"]
    for column, part in diagnosed.items():
        frame = frame.merge(part[[*keys, column]], on=keys, validate="one_to_one")
    table = frame[list(published_tables.COLUMNS)].sort_values(keys).to_csv(index=False, float_format="%.6g")
    last = max((record.provenance for record in sweep.records()), key=lambda provenance: provenance["finished"])
    about = {**shipped.identity(), "hash": shipped.hash}
    about["provenance"] = {name: last[name] for name in ("finished", "commit", "device", "threads", "versions")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{profile}.csv", table.encode())
        write_atomically(folder / f"{profile}.yml", dump_yaml(about).encode())
    except OSError as error:
        raise InputError(f"cannot publish to {folder}: {error.strerror}") from error
    return folder


# ---- training what is missing


def train_missing(keys: Mapping[str, Any], *, minutes: float | None = None) -> Iterator[Path]:
    """Train and publish one missing cell after the other; yields the file of each once it is there.

    Settings whose data set is not here are passed over, with a line on standard error.

    Args:
        keys: where and how it runs: data_root, device, out, …
        minutes: for how long. A cell that cannot be finished in time is given up after a few epochs, and no other is
            begun after it. None: until nothing is missing.

    Raises:
        InputError: a key that would change what is trained, or nothing that is missing can be trained here.
    """
    check_names(keys, Experiment.names())
    free = [name for name in Experiment.run_keys() if name not in ("beta_vals", "seeds", "tag")]
    for name in keys:
        if name not in free:
            raise InputError(f"--missing trains published settings: {name} is fixed; free are {', '.join(free)}")
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    keys = {"store_outputs": False, "save_weights": False, **keys}  # which are not published
    missing, errors = [], {}
    for setting, cells in [(batch.setting, batch.missing) for batch in batches()]:
        grid = dataclasses.replace(setting.experiment, **keys)
        if cells and grid.dataset not in errors:
            errors[grid.dataset] = None
            try:
                load_data(grid, grid.seeds[0])
            except InputError as error:
                errors[grid.dataset] = error
        missing += [(setting, cell, grid) for cell in cells]
    passed_over = {dataset: error for dataset, error in errors.items() if error}
    if missing and len(passed_over) == len(errors):
        raise InputError(f"nothing that is missing can be trained here: {next(iter(passed_over.values()))}")
    for error in passed_over.values():
        print(f"{NAME}: passed over: {error}", file=sys.stderr)
    for setting, cell, grid in missing:
        if grid.dataset in passed_over:
            continue
        experiment = dataclasses.replace(grid, beta_vals=[cell.beta], seeds=[cell.seed])
        try:
            publish_folder(run(experiment, deadline=deadline).folder)
        except OutOfTime as stop:
            print(f"{NAME}: {setting}, {cell}: {stop}", file=sys.stderr)
            return
        yield setting.results.path(cell)


# ---- the command


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"{NAME}: warning: {message}", file=sys.stderr)
        try:
            print(_command(arguments), flush=True)
            return 0
        except BrokenPipeError:  # whoever read it has seen enough, as in `--list | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except InputError as error:
            print(f"{NAME}: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f"\n{NAME}: interrupted; finished cells are kept, the same command goes on", file=sys.stderr)
            return 130


def _command(arguments: list[str] | None) -> Path | str:
    parser = Parser(prog=f"python results/{NAME}", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="FOLDER | key=value", help="a run's folder; with --missing keys")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--missing", action="store_true", help="train and publish missing cells, in the list's order")
    what.add_argument("--list", action="store_true", help="list all cells, published and missing, in the order to run")
    what.add_argument("--table", action="store_true", help="only bring the table in README.md up to date")
    parser.add_argument(
        "--minutes", type=_minutes, metavar="N",
        help="with --missing: a cell that would not be finished in N minutes is given up",
    )  # fmt: skip
    given = parser.parse_intermixed_args(arguments)
    if given.minutes is not None and not given.missing:
        parser.error("--minutes is for --missing")
    if given.missing:
        for file in train_missing(parse_keys(given.words, parser.prog), minutes=given.minutes):
            print(file, flush=True)
        return published_root()
    if given.list or given.table:
        if given.words:
            parser.error(f"--{'list' if given.list else 'table'} takes no words; given was {' '.join(given.words)}")
        return list_of_cells() if given.list else write_table()
    if len(given.words) != 1:
        words = " ".join(given.words) or "nothing"
        parser.error(f"needed is one FOLDER, --missing, --list or --table; given was {words}")
    return publish_folder(Path(given.words[0]))


def _minutes(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes above 0")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is begun is left in order
    sys.exit(main())
