"""What the quick sweep and a large diagnosis need, peak memory and seconds, and how long `import jointens` takes.

    python benchmarks/footprint.py [--rounds 5]

Each figure is that of a process of its own; the median over rounds and, for memory, the largest are printed. Not for
Windows, whose Python knows no `os.wait4`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
IMPORT = "import time, torch; start = time.perf_counter(); import jointens; print(time.perf_counter() - start)"
DIAGNOSIS = """
import torch, jointens
outputs, classes = torch.randn(20, 100_000, 10), torch.randint(10, (100_000,))
print(jointens.diagnose(outputs, classes, loss="cross_entropy", average="probabilities"))
"""
MIB_PER_UNIT = 1 / 2**20 if sys.platform == "darwin" else 1 / 2**10  # of ru_maxrss: bytes there, KiB elsewhere


def quick_sweep() -> tuple[float, float]:
    """Train the quick profile anew: seconds, and peak resident memory in MiB."""
    with tempfile.TemporaryDirectory() as out:
        profile = ROOT / "notebooks" / "profiles" / "digits.yml"
        return whole_process("-m", "jointens", "run", str(profile), f"out={out}")


def large_diagnosis() -> tuple[float, float]:
    """Diagnose 20 learners on 100,000 examples of ten classes: seconds, those of the imports among them, and MiB."""
    return whole_process("-c", DIAGNOSIS)


def whole_process(*arguments: str) -> tuple[float, float]:
    """Seconds and peak resident memory in MiB of a Python process."""
    command = [sys.executable, *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"it ended with exit code {process.returncode}: {' '.join(command)}")
    return seconds, used.ru_maxrss * MIB_PER_UNIT


def import_seconds() -> float:
    """Seconds that `import jointens` takes once torch is there."""
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes for each figure (5)")
    rounds = range(parser.parse_args().rounds)
    imports = [import_seconds() for _ in rounds]
    print(f"import jointens, beyond torch   {median(imports):6.2f} s")
    for name, work in {"quick sweep": quick_sweep, "large diagnosis": large_diagnosis}.items():
        seconds, memory = zip(*(work() for _ in rounds), strict=True)
        print(f"{name + ', whole process':31} {median(seconds):6.1f} s")
        print(f"{name + ', peak memory':31} {median(memory):6.0f} MiB   (largest of {len(memory)}: {max(memory):.0f})")


if __name__ == "__main__":
    main()
