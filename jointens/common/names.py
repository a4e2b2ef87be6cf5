"""Unknown names, and the known one that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from .errors import InputError


def unknown_name(name: object, known: Sequence[str], *, where: str = "") -> InputError:
    """Make the error for a key that is not known: it says which known one is nearest.

    Args:
        name: the key as it was given.
        known: the keys that are allowed, at least one.
        where: what the name comes from, such as a file; begins the message.
    """
    nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0)[0]
    return InputError(f"{f'{where}: ' if where else ''}unknown key {name!r}; the nearest known one is {nearest!r}")


def check_names(names: Iterable[object], known: Sequence[str], *, where: str = "") -> None:
    """Check that all names are known.

    Args:
        names: the keys that were given.
        known: the keys that are allowed, at least one.
        where: what the names come from, such as a file; begins the message.

    Raises:
        InputError: a name is unknown; the message says which known one is nearest.
    """
    for name in names:
        if name not in known:
            raise unknown_name(name, known, where=where)
