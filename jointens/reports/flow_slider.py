"""A slider over time for learners that move in a plane, as HTML that needs neither a network nor a library.

Every panel is an inline SVG whose paths are always drawn; the slider moves the dots along them and changes the numbers
below. Without scripts, as on paper, the last frame is shown.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from string import Template

import torch
from torch import Tensor

from ..losses import decompose
from .style import BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILION

SIZE = 220  # of a panel, in its own units
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE)

CSS = """
.flow { max-width: 46rem; margin: auto; text-align: left; }
.flow .panels { display: flex; flex-wrap: wrap; gap: 0.5rem; justify-content: center; }
.flow .panel { flex: 1 1 9.5rem; max-width: 15rem; }
.flow .panel svg { width: 100%; height: auto; border: 1px solid #8888; border-radius: 4px; display: block; }
.flow .panel p { margin: 0 0 0.15rem; font-size: 0.9rem; font-weight: 600; }
.flow .panel table { font-size: 0.8rem; width: 100%; margin: 0.15rem 0 0; border: 0; }
.flow .panel :is(th, td) { padding: 0 0.2rem; border: 0; font-weight: 400; text-align: left; }
.flow .panel td { text-align: right; font-variant-numeric: tabular-nums; }
.flow label { display: block; margin: 0.6rem 0 0; font-size: 0.95rem; }
.flow input { width: 100%; height: 1.8rem; margin: 0; }
.flow .key { font-size: 0.85rem; margin: 0.3rem 0 0; }
"""

PANEL = Template("""<div class="panel"><p>$title</p>
<svg viewBox="0 0 $size $size" role="img" aria-label="$label">
$paths
<path d="M$tx,${ty}m-7,0h14m-7,-7v14" stroke="currentColor" stroke-width="2"/>
$dots
<rect class="mean" width="9" height="9" x="-4.5" y="-4.5" fill="none" stroke="currentColor" stroke-width="2"/>
</svg>
<table><tr><th>individual</th><td></td></tr><tr><th>diversity</th><td></td></tr><tr><th>ensemble</th><td></td></tr></table>
</div>""")

# The script looks for the drawing that it stands in: a notebook may show the same output twice.
PAGE = Template("""<div class="flow" id="$name" role="group" aria-label="$title">
<style>$style</style>
<div class="panels">$panels</div>
<label>Time <output>$end</output> (drag, or use the arrow keys)
<input type="range" aria-label="Time" min="0" max="$last" value="$last" step="1" autocomplete="off"></label>
<p class="key">Dots: learners, on their way from their starts (rings). Square: their average. Cross: the target.</p>
<script>
(() => {
  const root = document.currentScript?.closest(".flow") ?? document.getElementById("$name"), frames = $frames;
  const slider = root.querySelector("input"), panels = root.querySelectorAll(".panel");
  const show = () => {
    const frame = frames[slider.value];
    root.querySelector("output").textContent = frame.time;
    slider.setAttribute("aria-valuetext", frame.told);
    panels.forEach((panel, p) => {
      const {dots, mean, losses, label} = frame.panels[p];
      panel.querySelectorAll(".dot").forEach((dot, i) => dot.setAttribute("transform", `translate($${dots[i]})`));
      panel.querySelector(".mean").setAttribute("transform", `translate($${mean})`);
      panel.querySelectorAll("td").forEach((cell, i) => { cell.textContent = losses[i]; });
      panel.querySelector("svg").setAttribute("aria-label", label);
    });
  };
  slider.addEventListener("input", show);
  show();
})();
</script>
</div>""")


class FlowSlider:
    """Learners' paths side by side, a panel for each, under one slider for time. Notebooks and the book show it.

    Args:
        paths: by the title of its panel, the positions of its M learners at each time, `(T, M, 2)`.
        target: `(2,)`, of every panel.
        times: `(T,)`.
        name: the slider's id on its page, in letters, digits and dashes.
        title: a description for readers who cannot see it.
        extent: left, right, bottom and top of the drawn square, outside of which dots are not visible.

    Raises:
        ValueError: shapes do not fit, there are more learners than colours, or the name has other characters.
    """

    def __init__(
        self,
        paths: Mapping[str, Tensor],
        target: Tensor,
        times: Tensor,
        *,
        name: str,
        title: str,
        extent: tuple[float, float, float, float] = (-2.0, 2.0, -2.0, 2.0),
    ):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
            raise ValueError(f"name is {name!r}; allowed are letters, digits and dashes, a letter first")
        if times.ndim != 1 or target.shape != (2,):
            shapes = f"times {tuple(times.shape)} and target {tuple(target.shape)}"
            raise ValueError(f"shapes are {shapes}; allowed are (T,) and (2,)")
        for path in paths.values():
            fits = path.ndim == 3 and len(path) == len(times) and path.shape[2] == 2
            if fits and not path.isfinite().all():
                raise ValueError(
                    "paths hold NaN or infinite values; allowed are finite numbers: fewer times, a smaller β"
                )
            if not fits or not 1 <= path.shape[1] <= len(COLOURS):
                allowed = f"({len(times)}, M, 2), M at most {len(COLOURS)}"
                raise ValueError(f"paths have shape {tuple(path.shape)}; allowed is {allowed}")
        self.paths, self.target, self.times = dict(paths), target, times
        self.name, self.title, self.extent = name, title, extent
        self.losses = {
            panel: decompose(*_as_batch(path, target), loss="squared_error") for panel, path in paths.items()
        }

    def describe(self, frame: int) -> str:
        """Describe a frame in words."""
        return f"Time {self.times[frame]:.2f}. " + " ".join(self._describe(panel, frame) for panel in self.paths)

    def _describe(self, panel: str, frame: int) -> str:
        losses = ", ".join(f"{part} {value}" for part, value in self._numbers(panel, frame).items())
        return f"{panel}: {losses}."

    def _numbers(self, panel: str, frame: int) -> dict[str, str]:
        parts = self.losses[panel]
        values = {"individual": parts.individual, "diversity": parts.diversity, "ensemble": parts.ensemble}
        numbers = {part: loss[frame] for part, loss in values.items()}
        return {part: f"{number:.3f}" if number < 100 else f"{number:,.0f}" for part, number in numbers.items()}

    def __repr__(self) -> str:
        return f"{self.title} At the end: {self.describe(-1)}"

    def _repr_html_(self) -> str:
        frames = [
            {
                "time": f"{time:.2f}",
                "told": self.describe(frame),
                "panels": [self._frame(panel, frame) for panel in self.paths],
            }
            for frame, time in enumerate(self.times.tolist())
        ]
        return PAGE.substitute(
            name=self.name,
            title=html.escape(self.title),
            style=CSS.strip(),
            panels="".join(map(self._panel, self.paths)),
            last=len(frames) - 1,
            end=frames[-1]["time"],
            frames=json.dumps(frames, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/"),
        )

    def _frame(self, panel: str, frame: int) -> dict:
        """Return what the script changes in a panel from frame to frame."""
        dots = self._pixels(self.paths[panel][frame])
        return {
            "dots": dots,
            "mean": self._pixels(self.paths[panel][frame].mean(0, keepdim=True))[0],
            "losses": list(self._numbers(panel, frame).values()),
            "label": self._describe(panel, frame),
        }

    def _panel(self, panel: str) -> str:
        """Draw a panel: the paths, their starts, the target, and the dots at the last frame."""
        path, last = self.paths[panel], self._frame(panel, -1)
        lines, dots = [], []
        for learner, colour in zip(range(path.shape[1]), COLOURS, strict=False):
            points = self._pixels(path[:, learner])
            line = " ".join(points)
            x, y = points[0].split(",")
            lines.append(
                f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-opacity="0.5"/>'
            )
            lines.append(f'<circle cx="{x}" cy="{y}" r="4" fill="none" stroke="{colour}"/>')
            place = f'transform="translate({last["dots"][learner]})"'
            dots.append(f'<circle class="dot" r="4.5" fill="{colour}" {place}/>')
        tx, ty = self._pixels(self.target.unsqueeze(0))[0].split(",")
        values = {"paths": "\n".join(lines), "dots": "\n".join(dots), "tx": tx, "ty": ty}
        label = html.escape(last["label"])
        drawn = PANEL.substitute(values, title=html.escape(panel), size=SIZE, label=label)
        drawn = drawn.replace('class="mean"', f'class="mean" transform="translate({last["mean"]})"')
        for value in last["losses"]:
            drawn = drawn.replace("<td></td>", f"<td>{value}</td>", 1)
        return drawn

    def _pixels(self, points: Tensor) -> list[str]:
        """Write points `(N, 2)` as "x,y" each, in the panel's units, where y grows downwards."""
        left, right, bottom, top = self.extent
        low, high = torch.tensor([left, top]), torch.tensor([right, bottom])
        scaled = ((points - low) / (high - low) * SIZE).clamp(-9 * SIZE, 10 * SIZE)
        return [f"{x + 0.0:.1f},{y + 0.0:.1f}" for x, y in scaled.round(decimals=1).tolist()]


def _as_batch(path: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Take times as examples: `(T, M, 2)` → outputs `(M, T, 2)` and targets `(T, 2)`."""
    return path.transpose(0, 1), target.to(path).expand(len(path), -1)
