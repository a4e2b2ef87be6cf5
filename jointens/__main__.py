"""The command line.

python -m jointens run PROFILE.yml key=value …          train the sweep of a profile
python -m jointens run --released FOLDER key=value …    the same for a configuration of the authors' repository
python -m jointens run --missing key=value …            train and publish what results/ of the repository lacks
python -m jointens convert RESULTS OUT key=value …      results of ours in the authors' format, or of theirs in ours
python -m jointens publish RESULTS                      copy finished cells into results/ of the repository
python -m jointens show RESULTS|FILE key=value …        is this ensemble colluding? a diagnosis of stored outputs

What was asked for, but for `show` the results folder, is the last of standard output; everything else goes to standard
error.
Exit status: 0 done, 2 wrong input (one line), 130 interrupted, 143 terminated; the last two can be run again and go on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from .authors.config import read_experiment
from .authors.results import convert
from .common.errors import InputError
from .common.paths import published_root
from .experiment.config import Experiment
from .reports.missing import train_missing
from .reports.published import publish
from .reports.show import show
from .sweeps.sweep import run


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # argparse would print its usage, too: several lines
        raise InputError(f"{message} (see python -m jointens --help)")


class _Stopped(BaseException):
    """A signal came; like KeyboardInterrupt no Exception, so that nothing takes it for an error to handle."""


STOPS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and give its exit status."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"jointens: warning: {message}", file=sys.stderr)
        try:
            with _stoppable():
                if hasattr(sys.stdout, "reconfigure"):
                    sys.stdout.reconfigure(errors="replace")  # a terminal that knows no β
                print(_command(arguments), flush=True)
                return 0
        except BrokenPipeError:  # whoever read it has seen enough, as in `show … | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except InputError as error:
            print(f"jointens: {error}", file=sys.stderr)
            return 2
        except _Stopped as stop:
            (signum,) = stop.args
            print(f"\njointens: {STOPS[signum]}; finished cells are kept, the same command goes on", file=sys.stderr)
            return 128 + signum


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Signals raise `_Stopped`, again and again until it arrives: Python drops what is raised in a destructor."""
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


def _command(arguments: list[str] | None) -> Path | str:
    """Do what is asked for; returns the results folder, or the text to show."""
    parser = _parser()
    given, more = parser.parse_known_args(arguments)
    if unknown := [word for word in more if word.startswith("-")]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    words = [*given.words, *more]  # argparse gives up on what stands behind an option that stands behind a word
    instead = given.command == "run" and ("--missing" if given.missing else "--released" if given.released else None)
    if given.command == "run" and not instead:
        if not words:
            parser.error("the following arguments are required: PROFILE.yml, --released FOLDER or --missing")
        profile, *words = words
    elif instead and words and "=" not in words[0]:
        parser.error(f"{instead} stands in place of a profile; {words[0]!r} is one too many")
    overrides = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{word!r} is no key=value (see python -m jointens {given.command} --help)")
        overrides[name] = value
    if given.command == "publish":
        if overrides:
            parser.error(f"publish takes no keys; given was {', '.join(overrides)}")
        return publish(given.source)
    if given.command == "show":
        return show(given.source, **overrides)
    if given.command == "convert":
        return convert(given.source, given.out, **overrides)
    if given.minutes is not None and not given.missing:
        parser.error("--minutes is for --missing")
    if given.missing:
        for file in train_missing(minutes=given.minutes, **overrides):
            print(file, flush=True)
        return published_root()
    if given.released is None:
        return run(Experiment.from_profile(profile, **overrides)).folder
    return run(read_experiment(given.released, **overrides)).folder


def _parser() -> _Parser:
    parser = _Parser(prog="python -m jointens", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        usage="python -m jointens run (PROFILE.yml | --released FOLDER | --missing [--minutes N]) [key=value ...]",
        help="train a sweep; finished cells are kept, missing ones trained",
        epilog="keys, their defaults and meanings:\n" + _keys_help(),
        formatter_class=argparse.RawTextHelpFormatter,
    )
    run.add_argument(
        "words", nargs="*", default=[], metavar="PROFILE.yml key=value",
        help="a YAML file of keys, such as those in notebooks/profiles; then keys that win over\n"
        "it, e.g. seeds=[0,1] beta_vals=0.5",
    )  # fmt: skip
    instead = run.add_mutually_exclusive_group()
    instead.add_argument(
        "--released", metavar="FOLDER",
        help="in place of a profile: experiment.json and optim.json of the authors' repository\n"
        "(src/configs/sweep there), with data.json beside them or in the folder above;\n"
        "where probs is false, give average=scores or average=released",
    )  # fmt: skip
    instead.add_argument(
        "--missing", action="store_true",
        help="in place of a profile: the cells that results/README.md lists as missing, in that\n"
        "order; each is published, and its file told, as soon as it is finished",
    )  # fmt: skip
    run.add_argument(
        "--minutes", type=_minutes, metavar="N",
        help="with --missing: a cell that would not be finished in N minutes is given up",
    )  # fmt: skip
    convert = commands.add_parser(
        "convert",
        usage="python -m jointens convert RESULTS OUT [key=value ...]",
        help="results of ours in the authors' format, or of theirs in ours",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    convert.add_argument(
        "source", metavar="RESULTS",
        help="a results folder: experiment.yml and cells (then OUT is in the authors' format), or\n"
        "their results.csv, experiment.json, optim.json and data.json (then OUT is in ours)",
    )  # fmt: skip
    convert.add_argument("out", metavar="OUT", help="the folder to make; it is new or empty")
    convert.add_argument(
        "words", nargs="*", default=[], metavar="key=value",
        help="win over the authors' files; where probs is false, average=scores or average=released",
    )  # fmt: skip
    publish = commands.add_parser("publish", help="copy finished cells of a shipped profile into results/")
    publish.add_argument("source", metavar="RESULTS", type=Path, help="the folder in which they were trained")
    publish.set_defaults(words=[])
    show = commands.add_parser(
        "show",
        usage="python -m jointens show RESULTS|FILE [key=value ...]",
        help="is this ensemble colluding? a diagnosis of stored outputs",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    show.add_argument(
        "source", metavar="RESULTS|FILE",
        help="a results folder; a file of the authors' outputs, deep_ensemble_*.json; or an .npz\n"
        "file with the arrays outputs (M, N, K), targets (N,) and perhaps reference",
    )  # fmt: skip
    show.add_argument(
        "words", nargs="*", default=[], metavar="key=value",
        help="of a sweep beta, seed and checkpoint (best or last); without beta both ends are shown.\n"
        "Of an .npz file loss (cross_entropy or squared_error) and average (scores,\n"
        "probabilities or released)",
    )  # fmt: skip
    return parser


def _minutes(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes above 0")


def _keys_help() -> str:
    lines = []
    for key in Experiment.described():
        known = f"; allowed: {', '.join(key.known)}" if key.known else ""
        lines.append(f"  {key.name:16} {key.default:32} {key.meaning}{known}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
