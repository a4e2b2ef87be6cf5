"""The command line: `jointens`, or `python -m jointens`.

jointens run PROFILE.yml key=value …            train the sweep of a profile
jointens run --jobs 4 PROFILE.yml               the same by four processes of this machine
jointens run --launcher slurm PROFILE.yml       the same as a Slurm job array
jointens run --released FOLDER key=value …      the same for a configuration of the authors' repository
jointens show RESULTS|FILE key=value …          is this ensemble colluding? a diagnosis of stored outputs
jointens convert RESULTS OUT key=value …        results of ours in the authors' format, or of theirs in ours

The last line of standard output is the results folder (for `show` the diagnosis); everything else goes to standard
error.
Exit status: 0 done, 2 wrong input (one line), 3 done, but cells diverged (a warning names them), 130 interrupted, 143
terminated; the last two can be run again and go on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .authors import convert, read_experiment
from .common import InputError
from .experiment import Experiment
from .sweeps import run

NAME = "jointens"
DIVERGED = 3  # exit status


class Parser(argparse.ArgumentParser):
    """A parser of command lines whose errors are an InputError of one line, without argparse's usage."""

    def error(self, message: str) -> None:
        raise InputError(f"{message} (see {self.prog} --help)")


def parse_keys(words: Sequence[str], program: str) -> dict[str, str]:
    """Parse `key=value` words.

    Args:
        words: what stands on the command line.
        program: whose help the message names.

    Raises:
        InputError: a word has no equals sign, or a key is given twice.
    """
    keys = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{word!r} is no key=value (see {program} --help)")
        if name in keys:
            raise InputError(f"{name} is given twice, as {keys[name]!r} and as {value!r}; allowed is one value")
        keys[name] = value
    return keys


class _Stopped(BaseException):
    """A signal came; like KeyboardInterrupt no Exception, so that nothing takes it for an error to handle."""


STOPS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: the words of the command; None: those of the process.
    """
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"{NAME}: warning: {message}", file=sys.stderr)
        try:
            with _stoppable():
                if hasattr(sys.stdout, "reconfigure"):
                    sys.stdout.reconfigure(errors="replace")  # a terminal that knows no β
                shown, status = _command(arguments)
                print(shown, flush=True)
                return status
        except BrokenPipeError:  # whoever read it has seen enough, as in `show … | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except InputError as error:
            print(f"{NAME}: {error}", file=sys.stderr)
            return 2
        except _Stopped as stop:
            (signum,) = stop.args
            print(f"\n{NAME}: {STOPS[signum]}; finished cells are kept, the same command goes on", file=sys.stderr)
            return 128 + signum


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Raise `_Stopped` at a signal, again and again until it arrives: Python drops what is raised in a destructor."""
    came = []

    def stop(signum: int, frame: object) -> None:
        came.append(signum)
        signal.setitimer(signal.ITIMER_REAL, 2)  # its signal comes back here, if this exception is dropped
        raise _Stopped(came[0])

    def drop(dropped: object) -> None:
        if isinstance(dropped.exc_value, _Stopped):
            signal.setitimer(signal.ITIMER_REAL, 0.05)  # again, as soon as the destructor is through
        else:
            unraisable(dropped)

    unraisable, sys.unraisablehook = sys.unraisablehook, drop
    # A signal that was ignored from the start stays so: the shell does that for jobs in the background.
    heeded = [s for s in STOPS if signal.getsignal(s) is not signal.SIG_IGN]
    before = {signum: signal.signal(signum, stop) for signum in (*heeded, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = unraisable
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _command(arguments: list[str] | None) -> tuple[Path | str, int]:
    """Run a command; returns the results folder, or the text to show, and the exit status."""
    parser = _parser()
    given, more = parser.parse_known_args(arguments)
    if unknown := [word for word in more if word.startswith("-")]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    # argparse gives up on words behind an option that stands behind a word
    return given.handle(given, [*given.words, *more])


def _run(given: argparse.Namespace, words: Sequence[str]) -> tuple[Path, int]:
    read, source = read_experiment, given.released
    if source is None:
        if not words:
            raise InputError(f"run needs PROFILE.yml, or --released FOLDER (see {NAME} run --help)")
        read, (source, *words) = Experiment.from_profile, words
    elif words and "=" not in words[0]:
        raise InputError(f"--released stands in place of a profile; {words[0]!r} is one too many")
    options = {name: value for name in ("jobs", "launcher") if (value := getattr(given, name)) is not None}
    keys = parse_keys(words, f"{NAME} run")
    if twice := next(iter(keys.keys() & options.keys()), None):
        raise InputError(
            f"{twice} is given twice, as {keys[twice]!r} and as --{twice} {options[twice]}; allowed is one"
        )
    experiment = read(source, **keys, **options)
    if given.wait and experiment.launcher == "local":
        raise InputError("--wait is for launcher=slurm; without it run waits anyway")
    results = run(experiment, wait=given.wait)
    return results.folder, DIVERGED if results.diverged() else 0


def _show(given: argparse.Namespace, words: Sequence[str]) -> tuple[str, int]:
    from .reports.stored_diagnosis import diagnose_stored

    return diagnose_stored(given.source, **parse_keys(words, f"{NAME} show")), 0


def _convert(given: argparse.Namespace, words: Sequence[str]) -> tuple[Path, int]:
    return convert(given.source, given.out, **parse_keys(words, f"{NAME} convert")), 0


def _parser() -> Parser:
    parser = Parser(prog=NAME, description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(handle: Callable, arguments: str, meaning: str, **options: str) -> argparse.ArgumentParser:
        name = handle.__name__.removeprefix("_")
        command = commands.add_parser(
            name,
            usage=f"{NAME} {name} {arguments} [key=value ...]",
            help=meaning,
            formatter_class=argparse.RawTextHelpFormatter,
            **options,
        )
        command.set_defaults(handle=handle)
        return command

    run = add(
        _run, "(PROFILE.yml | --released FOLDER)", "train a sweep; finished cells are kept, missing ones trained",
        epilog="keys, their defaults and meanings:\n" + _keys_help(),
    )  # fmt: skip
    _add_keys(
        run, "PROFILE.yml key=value",
        "a YAML file of keys, such as those in notebooks/profiles; then keys that win over\n"
        "it, e.g. seeds=[0,1] beta_vals=0.5",
    )  # fmt: skip
    run.add_argument(
        "--released", metavar="FOLDER",
        help="in place of a profile: experiment.json and optim.json of the authors' repository\n"
        "(src/configs/sweep there), with data.json beside them or in the folder above;\n"
        "where probs is false, give average=scores or average=released",
    )  # fmt: skip
    run.add_argument("--jobs", metavar="N", help="the key jobs: processes that train side by side")
    run.add_argument("--launcher", metavar="NAME", help="the key launcher: local, or slurm for a job array")
    run.add_argument(
        "--wait", action="store_true",
        help="with slurm: wait until all is trained, and show how far it is; without it run ends as\n"
        "soon as the job is submitted",
    )  # fmt: skip
    show = add(_show, "RESULTS|FILE", "is this ensemble colluding? a diagnosis of stored outputs")
    show.add_argument(
        "source", metavar="RESULTS|FILE",
        help="a results folder; a file of the authors' outputs, deep_ensemble_*.json; or a file with\n"
        "outputs (M, N, K), targets (N,) and perhaps reference and outputs_are: .npz, .pt, .pth or\n"
        ".safetensors; or .npy with the outputs alone. Nothing in a file is executed",
    )  # fmt: skip
    _add_keys(
        show, "key=value",
        "of a sweep beta, seed and checkpoint (best or last); without beta both ends are shown.\n"
        "Of a file of arrays loss (cross_entropy or squared_error), average (scores,\n"
        "probabilities or released), outputs_are (logits or probabilities), and targets and\n"
        "reference, files that hold these. Without loss it follows from the arrays; where that is\n"
        "not clear, one line asks",
    )  # fmt: skip
    convert = add(_convert, "RESULTS OUT", "results of ours in the authors' format, or of theirs in ours")
    convert.add_argument(
        "source", metavar="RESULTS",
        help="a results folder: experiment.yml and cells (then OUT is in the authors' format), or\n"
        "their results.csv, experiment.json, optim.json and data.json (then OUT is in ours)",
    )  # fmt: skip
    convert.add_argument("out", metavar="OUT", help="the folder to make; it is new or empty")
    _add_keys(
        convert, "key=value", "win over the authors' files; where probs is false, average=scores or average=released"
    )
    return parser


def _add_keys(command: argparse.ArgumentParser, metavar: str, meaning: str) -> None:
    command.add_argument("words", nargs="*", default=[], metavar=metavar, help=meaning)


def _keys_help() -> str:
    lines = []
    for key in Experiment.described():
        known = f"; allowed: {', '.join(key.known)}" if key.known else ""
        lines.append(f"  {key.name:16} {key.default:32} {key.meaning}{known}")
    return "\n".join(lines)


def entry() -> None:
    """The console script `jointens`."""
    sys.exit(main())
