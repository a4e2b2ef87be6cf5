"""Run a command and print the peak memory of its process tree and its duration. Linux only.

    python benchmarks/process_memory.py [--interval 0.5] [--limit 4000] make test

Memory is the sum of the PSS (proportional set size: a page that n processes share counts 1/n in each) of the command
and all its descendants, sampled at an interval. Exits with the command's exit code, or with 3 above the limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import psutil


def tree_memory(process: psutil.Process) -> tuple[float, int]:
    """Return the summed PSS in MB of a process and its descendants, and how many processes they are."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0, 0
    sizes = [pss for member in family if (pss := pss_of(member.pid)) is not None]
    return sum(sizes), len(sizes)


def pss_of(pid: int) -> float | None:
    """Return the PSS of a process in MB, or None if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:")), None)


def watch(command: list[str], interval: float) -> tuple[int, float, int, float]:
    """Run a command to its end. Return its exit code, peak MB, number of processes at the peak, and seconds."""
    start, peak, processes = time.perf_counter(), 0.0, 0
    running = subprocess.Popen(command)
    watched = psutil.Process(running.pid)
    while running.poll() is None:
        memory, number = tree_memory(watched)
        if memory > peak:
            peak, processes = memory, number
        time.sleep(interval)
    return running.returncode, peak, processes, time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between samples (0.5)")
    parser.add_argument("--limit", type=float, help="MB; a higher peak exits with 3")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments")
    options = parser.parse_args()
    if not options.command:
        parser.error("a command is missing")
    code, peak, processes, seconds = watch(options.command, options.interval)
    print(f"peak memory {peak:.0f} MB in {processes} processes, {seconds:.0f} s, exit code {code}", file=sys.stderr)
    return 3 if code == 0 and options.limit is not None and peak > options.limit else code


if __name__ == "__main__":
    sys.exit(main())
