"""Commands that tests start, look at while they run, and wait for."""

import json
import subprocess
import sys
import time

from jointens import Experiment


def start_run(experiment, folder, *options, **keys):
    """Start `jointens run` on an experiment with other `keys`, from a profile in a folder; its output is piped."""
    profile = folder / f"profile{time.monotonic_ns()}.yml"
    profile.write_text(json.dumps({name: getattr(experiment, name) for name in Experiment.names()} | keys))
    command = [sys.executable, "-m", "jointens", "run", str(profile), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)


def wait_for(condition, *, seconds=120):
    """Wait until a function returns something true, and return that."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found
