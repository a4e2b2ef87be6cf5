"""The command line: `python -m jointens run PROFILE.yml key=value …`.

The results folder is the last line of standard output; everything else goes to standard error.
Exit status: 0 done, 2 wrong input (one line), 130 interrupted, 143 terminated; the last two can be run again and go on.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import warnings
from collections.abc import Iterator

from .errors import InputError
from .experiment import Experiment
from .sweep import run


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
                given = _parser().parse_args(arguments)
                return _run(given.profile, given.keys)
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

    # A signal that was ignored from the start stays so: the shell does that for jobs in the background.
    heeded = [s for s in STOPS if signal.getsignal(s) is not signal.SIG_IGN]
    before = {signum: signal.signal(signum, stop) for signum in (*heeded, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _parser() -> _Parser:
    parser = _Parser(prog="python -m jointens", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="train the sweep of a profile; finished cells are kept, missing ones trained",
        epilog="keys, their defaults and meanings:\n" + _keys_help(),
        formatter_class=argparse.RawTextHelpFormatter,
    )
    run.add_argument("profile", metavar="PROFILE.yml", help="a YAML file of keys, such as those in notebooks/profiles")
    run.add_argument(
        "keys", nargs="*", metavar="key=value", help="win over the profile, e.g. seeds=[0,1] beta_vals=0.5"
    )
    return parser


def _run(profile: str, keys: list[str]) -> int:
    overrides = {}
    for text in keys:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{text!r} is no key=value (see python -m jointens run --help)")
        overrides[name] = value
    experiment = Experiment.from_profile(profile, **overrides)
    print(run(experiment).folder)
    return 0


def _keys_help() -> str:
    lines = []
    for key in Experiment.described():
        known = f"; allowed: {', '.join(key.known)}" if key.known else ""
        lines.append(f"  {key.name:16} {key.default:32} {key.meaning}{known}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
