"""Where chance comes from: every stream of random numbers is derived from a run's seed by name.

A stream is named by the seed, its purpose and, for initial weights, the learner's index. β and M are no part of the
name, so two runs of one seed that differ in β see the same split, the same initial weights and the same order of
examples: they are *paired*, and their difference is β's alone.
"""

import hashlib

import torch


def derived_seed(seed: int, purpose: str, index: int = 0) -> int:
    """A 63-bit seed for one named stream, equal on every machine and Python version.

    Hashing instead of adding: `seed + index` would hand learner 1 of seed 0 the weights of learner 0 of seed 1.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """A CPU generator for one named stream; always on the CPU, so that a GPU run sees the same draws."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose, index))
