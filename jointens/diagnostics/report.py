"""Result types of `diagnose`: a `Report` made of `Finding`s, as text, HTML and pandas frame."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .duplicates import describe_same_learners

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One number about an ensemble, with its interval and its meaning in words."""

    name: str
    value: float
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of its 95 % interval."""
    sentence: str
    """Its meaning in words."""
    alarm: bool = False
    """True if it is a sign of collusion."""
    unit: str = ""
    """"%" for a share, "points" for a difference of shares; both are displayed times a hundred."""

    @property
    def text(self) -> str:
        """The number with its interval and unit, formatted for display."""
        value, low, high = (self._format(number) for number in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]{' ' if self.unit else ''}{self.unit}"

    def _format(self, value: float) -> str:
        if not np.isfinite(value):
            return "–"
        return (f"{100 * value:.1f}" if self.unit else f"{value:.4g}").replace("-", "−")


@dataclass(frozen=True, repr=False)
class Report:
    """The result of `diagnose`. Prints as text; in a notebook it is displayed as a table.

    `report["diversity"]` looks up a `Finding` by its name.
    """

    about: str
    """The ensemble's size, its loss and its average."""
    findings: tuple[Finding, ...]
    error_correlations: np.ndarray = field(compare=False)
    """Uncentred correlation of the errors of every two learners, `(M, M)`."""
    advice: str = ""
    """Further input that would make the diagnosis more informative."""
    notes: tuple[str, ...] = ()
    """What was converted before anything was computed, in sentences."""
    duplicates: tuple[tuple[int, ...], ...] = ()
    """Groups of learners that give the same outputs, counted from 0."""

    def __getitem__(self, name: str) -> Finding:
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"no finding {name!r}; there are {', '.join(finding.name for finding in self.findings)}")

    @property
    def alarms(self) -> tuple[str, ...]:
        """The names of the findings that are signs of collusion."""
        return tuple(finding.name for finding in self.findings if finding.alarm)

    @property
    def verdict(self) -> str:
        """A summary in a sentence or two."""
        number = len(self.error_correlations)
        same = describe_same_learners(self.duplicates, number)
        if self.duplicates and len(self.duplicates[0]) == number:
            return f"{same} There is nothing to diagnose."
        if self.alarms:
            return " ".join(filter(None, [f"Signs of collusion: {', '.join(self.alarms)}.", same]))
        return " ".join(filter(None, ["No sign of collusion.", same, self.advice]))

    def frame(self) -> pd.DataFrame:
        """Convert the findings to a frame, indexed by name, with the columns value, low, high and alarm."""
        import pandas as pd

        rows = [(item.name, item.value, item.low, item.high, item.alarm) for item in self.findings]
        return pd.DataFrame(rows, columns=["name", "value", "low", "high", "alarm"]).set_index("name")

    def __str__(self) -> str:
        width = max(len(finding.name) for finding in self.findings)
        lines = [self.about, *(line for note in self.notes for line in textwrap.wrap(note, 100))]
        lines += ["Intervals: 95 %, over the examples. A line with ! is a sign of collusion.", ""]
        for finding in self.findings:
            lines.append(f"{'!' if finding.alarm else ' '} {finding.name:{width}}  {finding.text}")
            lines += textwrap.wrap(finding.sentence, 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
        return "\n".join([*lines, "", *textwrap.wrap(self.verdict, 100)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            f"<tr><td>{'<b>!</b>' if finding.alarm else ''}</td><th>{html.escape(finding.name)}</th>"
            f"<td>{html.escape(finding.text)}</td><td>{html.escape(finding.sentence)}</td></tr>"
            for finding in self.findings
        ]
        head = "<tr><th></th><th>finding</th><th>value and 95 % interval</th><th>in words</th></tr>"
        return (
            f'<div class="diagnosis"><p>{html.escape(" ".join([self.about, *self.notes]))}</p><div class="wide-table">'
            f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"
            f"<p><b>{html.escape(self.verdict)}</b></p></div>"
        )
