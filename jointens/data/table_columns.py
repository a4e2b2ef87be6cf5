"""Turns a column of the user's own table into features.

A column holds numbers, true and false (1 and 0), or texts (one-hot, one feature for each text). A note records each
change made to the table; anything ambiguous is an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..common import LARGEST, InputError

if TYPE_CHECKING:
    import pandas as pd

MOST_TEXTS = 50  # per column: more are names, dates or free text, for which one-hot features are useless
# pandas' words for a missing entry. Not given to read_csv, which compares them before spaces are stripped.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
# No library tells numbers in disguise from categories, so these patterns do.
COMMA = r"[+-]?\d+(,\d+)+"  # 12,5 or 1,000: ambiguous
NUMBERLIKE = (  # also 5 %, $3.50, 1 000, a true minus, and dates of digits: not categories
    r"[+\-−$€£¥\s]*\d+([.,'\s]\d{3})*([.,]\d+)?\s*[%$€£¥]?"
    r"|(\d{4}([-/.])\d{1,2}\4\d{1,2}|\d{1,2}([-/.])\d{1,2}\5\d{2,4})([T\s][\d:.]+Z?)?"
)
MARK = r"[\W_]+|[<>≤≥~≈]=?\s*\d+([.,]\d+)?"  # ? or <1.2, which among numbers stands for one that is not known
TRUTHS = {"true": 1.0, "false": 0.0}

Notes = dict[str, list[str]]  # changes made to a table, and the columns that they were made to


class Column(NamedTuple):
    """How a column becomes features, of the table and of new rows alike."""

    name: str
    kind: str  # "number", "truth" or "text"
    texts: tuple[str | None, ...] = ()  # of kind "text": a feature for each; None, always the last, is a missing one

    @property
    def num_features(self) -> int:
        return len(self.texts) or 1

    def features(self, place: str, entries: pd.Series) -> np.ndarray:
        """Return the features `(N, num_features)`, NaN where a number is missing.

        Args:
            place: what the entries stand in, and what their labels count, such as "houses.csv, line"; for messages.
            entries: texts without spaces around them, NaN where one is missing.

        Raises:
            InputError: an entry is no number, neither true nor false, or no known text; the message names it.
        """
        if self.kind == "number":
            return parse_numbers(place, entries)[:, None]
        missing = entries.isna()
        if self.kind == "truth":
            truths = entries.str.lower().map(TRUTHS)
            if (wrong := truths.isna() & ~missing).any():
                raise error_at(place, entries, wrong, "is neither true nor false")
            return truths.to_numpy(dtype=float, copy=True)[:, None]
        is_known = entries.isin(self.texts) | (missing if None in self.texts else False)
        if not is_known.all():
            known = ", ".join("a missing one" if text is None else repr(text) for text in self.texts)
            raise error_at(place, entries, ~is_known, f"is no text of this column; known are {known}")
        columns = [missing if text is None else entries == text for text in self.texts]
        return np.stack([column.to_numpy(dtype=float) for column in columns], axis=1)


def describe_column(place: str, entries: pd.Series, notes: Notes) -> Column:
    """Find out what a column of the table holds.

    Raises:
        InputError: it holds too many different texts.
    """
    truths = entries.str.lower().map(TRUTHS)
    if truths.count() == entries.count() > 0:
        notes["true and false are 1 and 0"].append(entries.name)
        return Column(entries.name, "truth")
    if not is_categorical(entries):
        return Column(entries.name, "number")
    missing = entries.isna()
    texts = (*sorted(entries.dropna().unique()), *([None] if missing.any() else []))
    if len(texts) > MOST_TEXTS or len(texts) == len(entries):
        problem = f"is one of {len(texts)} different texts in {len(entries)} rows; allowed are at most {MOST_TEXTS}"
        advice = "and some more than once: remove the column if it holds names, dates or remarks"
        raise error_at(place, entries, ~missing, f"{problem}, {advice}")
    if len(texts) == 1:
        notes["columns of one value stay at 0"].append(entries.name)
    described = f"{entries.name} ({len(texts)}{', one for none' if missing.any() else ''})"
    notes["texts become a column each"].append(described)
    return Column(entries.name, "text", texts)


def note_values(name: str, values: np.ndarray, notes: Notes) -> None:
    """Note what is done to the numbers `(N,)` of a column of kind "number" or "truth"."""
    present = values[~np.isnan(values)]
    if len(np.unique(present)) <= 1:
        notes["columns of one value stay at 0"].append(name)
    elif absent := len(values) - len(present):
        notes["missing numbers become the training part's mean"].append(f"{name} ({absent})")


def first_count(entries: pd.Series) -> int | None:
    """Return where a column begins that counts rows, in any order: it has each of N whole numbers in a row once."""
    if entries.isna().any() or not entries.str.fullmatch(r"\d{1,15}").all():
        return None
    numbers = np.sort(entries.astype(int))
    return int(numbers[0]) if (np.diff(numbers) == 1).all() else None


def error_at(place: str, entries: pd.Series, where: pd.Series | np.ndarray, problem: str) -> InputError:
    """Make the error about the first of the entries that are not allowed."""
    line, value = entries.index[where][0], entries[where].iloc[0]
    value = f"{value[:40]}…" if isinstance(value, str) and len(value) > 40 else value
    return InputError(f"{place} {line}, column {entries.name!r}: {value!r} {problem}")


def parse_numbers(place: str, entries: pd.Series, advice: str | None = None) -> np.ndarray:
    """Return the entries as numbers `(N,)`, NaN where one is missing.

    Raises:
        InputError: an entry is a text, which gets the `advice`, or is too large.
    """
    numbers, texts = _parse(entries)
    if texts.any():
        if re.fullmatch(COMMA, entries[texts].iloc[0]):
            advice = "write a decimal point, and nothing between thousands"
        advice = advice or "correct it, or leave it empty; remove the column if it holds dates"
        raise error_at(place, entries, texts, f"is no number; {advice}")
    if (large := np.abs(numbers) > LARGEST).any():
        raise error_at(place, entries, large, f"is not finite; allowed are numbers up to {LARGEST:g}")
    return numbers


def _parse(entries: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries as numbers `(N,)`, NaN for a text or a missing one, and a mask `(N,)` of the texts."""
    import pandas as pd

    numbers = pd.to_numeric(entries, errors="coerce").to_numpy(dtype=float, copy=True)
    return numbers, np.isnan(numbers) & entries.notna().to_numpy()


def is_categorical(entries: pd.Series) -> bool:
    """Return True if at least half of the entries are texts that are not meant as numbers, and none is a measurement.

    Different numbers with a fraction are measurements, however many are words such as "ND" for one that is not known.
    """
    numbers, is_text = _parse(entries)
    texts, different = entries[is_text], np.unique(numbers[np.isfinite(numbers)])
    if (different % 1 > 0).sum() > 1:
        return False
    numberlike = entries.count() - len(texts) + texts.str.fullmatch(NUMBERLIKE).sum()
    marks = texts.str.fullmatch(MARK).sum() if len(different) > 1 else 0
    return entries.count() > 0 and 2 * numberlike <= entries.count() - marks
