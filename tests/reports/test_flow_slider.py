"""The slider's HTML as a parser reads it: it stands alone, and its numbers are the decomposition's."""

import json
import re
from html.parser import HTMLParser

import pytest
import torch

from jointens import decompose
from jointens.reports.flow_slider import COLOURS, SIZE, FlowSlider
from jointens.theory.flow import gradient_flow, responses

TARGET = torch.zeros(2, dtype=torch.float64)
TIMES = torch.linspace(0, 3, 61)
STARTS = torch.tensor([[-1.0, 1.0], [1.2, 0.8], [0.3, -1.5]], dtype=torch.float64)
VOID = {"input", "br", "img", "meta", "link", "hr"}


class Page(HTMLParser):
    """Elements and attributes in their order, and the text in each kind of element; every tag has to be closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open = [], {}, []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]][-1] += data

    def of_class(self, name):
        return [attributes for _, attributes in self.elements if attributes.get("class") == name]

    def all(self, tag):
        return [attributes for kind, attributes in self.elements if kind == tag]

    @property
    def frames(self):
        return json.loads(re.search(r"frames = (\[.*\]);\n", self.texts["script"][0])[1])


def flows(betas=(0.0, 0.5, 1.0, 1.1), starts=STARTS, angles=(0, 60, 120)):
    speeds = responses(angles)
    return {f"β = {b:g}": gradient_flow(starts, TARGET, beta=b, times=TIMES, responses=speeds) for b in betas}


def slider(paths=None, **keys):
    told = {"name": "flow", "title": "Three learners and their average.", **keys}
    return FlowSlider(flows() if paths is None else paths, TARGET, TIMES, **told)


@pytest.fixture(scope="module")
def page():
    return Page(slider()._repr_html_())


def place(text):
    return [float(number) for number in text.removeprefix("translate(").removesuffix(")").split(",")]


def numbers(path, frame):
    """A frame's three losses, as text, by the definition of each."""
    at = path[frame]
    mean = at.mean(0)
    parts = ((at - TARGET).square().sum(-1).mean(), (at - mean).square().sum(-1).mean(), (mean - TARGET).square().sum())
    return [f"{part:.3f}" for part in parts]


def test_the_label_holds_its_input_and_the_one_id_is_the_names(page):
    """Labels that point at ids would point at the first of two copies."""
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert ids == [page.elements[0][1]["id"]]
    label = re.search("<label>(.*?)</label>", slider()._repr_html_(), flags=re.S)[1]
    assert "<input" in label and "<output" in label
    assert f'getElementById("{ids[0]}")' in page.texts["script"][0]


def test_two_sliders_share_no_id():
    ids = [re.findall(r' id="([^"]*)"', slider(name=name)._repr_html_()) for name in ("first", "second")]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])


def test_nothing_is_asked_of_the_network(page):
    text = slider()._repr_html_()
    assert "http" not in text
    assert "//" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert not [of for _, of in page.elements if {"src", "href", "xlink:href", "data"} & set(of)]
    assert not {"link", "iframe", "object", "img"} & {tag for tag, _ in page.elements}


def test_no_placeholder_is_left():
    """But for those of the script, which are JavaScript's."""
    assert re.findall(r"\$\S*", slider()._repr_html_()) == ["${dots[i]})`));", "${mean})`);"]


def test_every_time_has_its_frame(page):
    frames = page.frames
    assert len(frames) == len(TIMES)
    (control,) = page.all("input")
    assert (control["min"], control["max"], control["value"]) == ("0", "60", "60")
    for time, frame, index in zip(TIMES.tolist(), frames, range(61), strict=True):
        assert frame["time"] == f"{time:.2f}"
        assert frame["told"] == slider().describe(index)
        assert len(frame["panels"]) == 4
        for panel, path in zip(frame["panels"], flows().values(), strict=True):
            assert panel["losses"] == numbers(path, index)
            assert len(panel["dots"]) == 3


def test_without_a_script_the_last_frame_stands(page):
    last = page.frames[-1]["panels"]
    assert page.texts["td"] == [loss for panel in last for loss in panel["losses"]]
    assert page.texts["td"] == [loss for path in flows().values() for loss in numbers(path, -1)]
    assert page.texts["th"] == ["individual", "diversity", "ensemble"] * 4
    assert [of["transform"] for of in page.of_class("dot")] == [
        f"translate({dot})" for panel in last for dot in panel["dots"]
    ]
    assert [of["transform"] for of in page.of_class("mean")] == [f"translate({panel['mean']})" for panel in last]
    assert [of["aria-label"] for of in page.all("svg")] == [panel["label"] for panel in last]


def test_lines_lead_from_the_rings_to_the_dots(page):
    lines, dots = page.all("polyline"), page.of_class("dot")
    rings = [of for of in page.all("circle") if "cx" in of]
    assert len(lines) == len(dots) == len(rings) == 4 * 3
    for line, dot, ring in zip(lines, dots, rings, strict=True):
        points = line["points"].split()
        assert len(points) == len(TIMES)
        assert points[0] == f"{ring['cx']},{ring['cy']}"
        assert points[-1] == dot["transform"].removeprefix("translate(").removesuffix(")")
        assert line["stroke"] == dot["fill"] == ring["stroke"]
    assert [line["stroke"] for line in lines[:3]] == list(COLOURS[:3])


def test_the_square_is_the_mean_of_the_dots(page):
    for frame in page.frames:
        for panel in frame["panels"]:
            dots = torch.tensor([place(dot) for dot in panel["dots"]])
            mean = torch.tensor(place(panel["mean"]))
            torch.testing.assert_close(mean, dots.mean(0), rtol=0, atol=0.11)  # of a pixel: two roundings to 0.1


def test_up_is_up_and_the_extent_fills_the_panel():
    corners = torch.tensor([[[-1.0, 5.0], [3.0, 1.0], [1.0, 3.0]]], dtype=torch.float64)
    shown = FlowSlider({"a": corners}, corners[0, 2], TIMES[:1], name="n", title="t", extent=(-1, 3, 1, 5))
    page = Page(shown._repr_html_())
    dots = [place(dot) for dot in page.frames[0]["panels"][0]["dots"]]
    assert dots == [[0, 0], [SIZE, SIZE], [SIZE / 2, SIZE / 2]]
    (cross,) = [of["d"] for of in page.all("path")]
    assert cross.startswith(f"M{SIZE / 2},{SIZE / 2}m")


def test_words_tell_the_decomposition():
    shown, paths = slider(), flows()
    for frame in (0, 17, -1):
        told = shown.describe(frame)
        assert told.startswith(f"Time {TIMES[frame]:.2f}. β = 0: individual ")
        for panel, path in paths.items():
            outputs, targets = path[frame].unsqueeze(1), TARGET.unsqueeze(0)
            parts = decompose(outputs, targets, loss="squared_error")
            individual, ensemble, diversity = (f"{part.item():.3f}" for part in parts)
            assert f"{panel}: individual {individual}, diversity {diversity}, ensemble {ensemble}." in told
    assert repr(shown) == f"Three learners and their average. At the end: {shown.describe(-1)}"


def test_large_losses_are_told_without_decimals():
    far = torch.tensor([[[1000.0, 0.0], [-1000.0, 0.0]]], dtype=torch.float64)
    shown = FlowSlider({"a": far}, TARGET, TIMES[:1], name="n", title="t")
    assert "a: individual 1,000,000, diversity 1,000,000, ensemble 0.000." in shown.describe(0)
    dots = [place(dot) for dot in Page(shown._repr_html_()).frames[0]["panels"][0]["dots"]]
    assert all(abs(x) <= 10 * SIZE for x, _ in dots)  # far outside, where no renderer stumbles


@pytest.mark.parametrize(
    "title", ["a < b & c", 'β "1" <b>bold</b>', "</script><img src=x>", "$name ${dots}", "<td></td>"]
)
def test_titles_are_text(title):
    path = flows()["β = 1"]
    shown = slider({title: path, "other": path}, title=title)
    text = shown._repr_html_()
    found = Page(text)
    assert [tag for tag, _ in found.elements] == [
        tag for tag, _ in Page(slider({"x": path, "y": path})._repr_html_()).elements
    ]
    assert found.elements[0][1]["aria-label"] == title
    assert found.texts["p"][0] == title
    assert found.all("svg")[0]["aria-label"].startswith(f"{title}: individual ")
    assert f"{title}: individual " in found.frames[0]["told"]
    assert repr(shown).startswith(title)
    assert text.count("</script>") == 1


def test_the_page_stays_small():
    six = torch.cat([STARTS, -STARTS])
    text = slider(flows(starts=six, angles=range(0, 180, 30)))._repr_html_()
    assert len(text.encode()) < 300_000


def test_the_html_is_the_same_each_time():
    assert slider()._repr_html_() == slider()._repr_html_()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((60, 3, 2), r"\(60, 3, 2\); allowed is \(61, M, 2\), M at most 6"),
        ((61, 3, 3), r"\(61, 3, 3\); allowed is \(61, M, 2\)"),
        ((61, 2), r"\(61, 2\); allowed is \(61, M, 2\)"),
        ((61, 7, 2), r"\(61, 7, 2\); allowed is \(61, M, 2\), M at most 6"),
        ((61, 0, 2), r"\(61, 0, 2\); allowed is \(61, M, 2\)"),
    ],
)
def test_paths_that_do_not_fit(shape, message):
    with pytest.raises(ValueError, match=message):
        slider({"good": flows()["β = 1"], "bad": torch.zeros(shape)})


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        (torch.zeros(3), "n", r"target \(3,\); allowed are \(T,\) and \(2,\)"),
        (torch.zeros(1, 2), "n", r"target \(1, 2\); allowed"),
        (torch.tensor([0.0, torch.nan]), "n", "targets of squared_error"),
        (torch.zeros(2), 'a" onclick="', "letters, digits and dashes"),
        (torch.zeros(2), "", "letters, digits and dashes"),
    ],
)
def test_other_input_that_does_not_fit(target, name, message):
    with pytest.raises(ValueError, match=message):
        FlowSlider(flows(), target, TIMES, name=name, title="t")


def test_without_scripts_the_time_is_that_of_the_last_frame():
    assert f"{TIMES[-1]:.2f}</output>" in slider()._repr_html_()
