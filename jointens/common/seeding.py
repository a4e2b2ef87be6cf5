"""Derive named streams of random numbers from a run's seed.

A stream is named by the seed, its purpose and, for initial weights, the learner's index. β and M are not part of the
name, so two runs of one seed that differ in β have the same split, the same initial weights and the same order of
examples: they are *paired*, and only β makes them differ.
"""

import hashlib

import torch


def derived_seed(seed: int, purpose: str, index: int = 0) -> int:
    """Derive the 63-bit seed of a named stream, the same on every machine and Python version.

    It is hashed: with `seed + index`, learner 1 of seed 0 would have the weights of learner 0 of seed 1.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """Make the generator of a named stream; always on the CPU, so that a run on a GPU has the same draws."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose, index))
