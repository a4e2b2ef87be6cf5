"""What a diagnosis says: findings, each a number with its interval, a plain sentence, and whether it is a sign."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One number about an ensemble."""

    name: str
    value: float
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""
    sentence: str
    """What it means, in words."""
    alarm: bool = False
    """Whether it is a sign of collusion."""
    unit: str = ""
    """"%" for a share and "points" for a difference of shares, which are shown times a hundred."""

    @property
    def text(self) -> str:
        """The number with its interval, as a reader is shown it."""
        value, low, high = (self._number(of) for of in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]{' ' if self.unit else ''}{self.unit}"

    def _number(self, value: float) -> str:
        if not np.isfinite(value):
            return "–"
        return (f"{100 * value:.1f}" if self.unit else f"{value:.4g}").replace("-", "−")


@dataclass(frozen=True, repr=False)
class Report:
    """What `diagnose` found. Prints as text; in a notebook it is a table.

    `report["diversity"]` is a `Finding`; the names are those of `findings`.
    """

    about: str
    """What the ensemble is made of, and how it is judged."""
    findings: tuple[Finding, ...]
    error_correlations: np.ndarray = field(compare=False)
    """`(M, M)`: how the errors of every two learners correlate, about zero."""
    advice: str = ""
    """What would allow to say more."""

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
        """All of it in a sentence."""
        if self.alarms:
            return f"Signs of collusion: {', '.join(self.alarms)}."
        return " ".join(filter(None, ["No sign of collusion.", self.advice]))

    def frame(self) -> pd.DataFrame:
        """The findings as a table, indexed by name: value, low, high, alarm."""
        import pandas as pd

        rows = [(of.name, of.value, of.low, of.high, of.alarm) for of in self.findings]
        return pd.DataFrame(rows, columns=["name", "value", "low", "high", "alarm"]).set_index("name")

    def __str__(self) -> str:
        width = max(len(finding.name) for finding in self.findings)
        lines = [self.about, "Intervals: 95 %, over the examples. A line with ! is a sign of collusion.", ""]
        for of in self.findings:
            lines.append(f"{'!' if of.alarm else ' '} {of.name:{width}}  {of.text}")
            lines += textwrap.wrap(of.sentence, 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
        return "\n".join([*lines, "", *textwrap.wrap(self.verdict, 100)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            f"<tr><td>{'<b>!</b>' if of.alarm else ''}</td><th>{html.escape(of.name)}</th>"
            f"<td>{html.escape(of.text)}</td><td>{html.escape(of.sentence)}</td></tr>"
            for of in self.findings
        ]
        head = "<tr><th></th><th>finding</th><th>value and 95 % interval</th><th>in words</th></tr>"
        return (
            f'<div class="diagnosis"><p>{html.escape(self.about)}</p><div class="wide-table">'
            f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"
            f"<p><b>{html.escape(self.verdict)}</b></p></div>"
        )
