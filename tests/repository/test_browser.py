"""The built book as a reader sees it: every page in headless Chromium, on a desk and on a phone.

No request leaves the page, no console error, no broken image, mathematics typeset, nothing wider than the screen.
Skipped where no Chromium or Chrome is installed; `.ci/run` installs one.
"""

import re
import shutil
from pathlib import Path

import pytest
from checkout import ROOT

pytestmark = [pytest.mark.book, pytest.mark.browser]

WIDTHS = {"desk": 1280, "phone": 390}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium calls home by itself; what is tested is what the pages ask for. No host is found: nothing leaves the machine.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
LOCAL = ("file:", "data:", "blob:")
LATER = 200  # milliseconds in which a page that is there may still do something wrong


def pages() -> list[str]:
    """The pages of the table of contents, however deep."""
    return re.findall(r"(?:root|file): *(\S+)", (ROOT / "_toc.yml").read_text())


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed; looked for {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=QUIET)


def faults(browser, paths: list[Path], width: int) -> dict[Path, list[str]]:
    """What is wrong with each page at a width, in words."""
    page, found, told = browser.new_page(viewport={"width": width, "height": 900}), [], {}
    page.on("request", lambda asked: asked.url.startswith(LOCAL) or found.append(f"asks for {asked.url}"))
    page.on("console", lambda message: message.type == "error" and found.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"script: {error}"))
    for path in paths:
        found.clear()
        page.goto(path.as_uri())
        told[path] = [*seen(page), *found]
    page.close()
    return told


def seen(page) -> list[str]:
    """What is wrong in a page when its formulas are typeset and its fonts and images are there."""
    page.evaluate("async () => { await window.MathJax?.startup?.promise; await document.fonts.ready }")
    page.wait_for_timeout(LATER)  # scripts that ask later than that are found in the pages' text
    return page.evaluate(
        """async () => {
            const told = [];
            for (const image of document.images) {
                image.loading = "eager";
                await image.decode().catch(() => told.push("broken image " + image.src));
            }
            for (const math of document.querySelectorAll(".math"))
                if (!math.querySelector("mjx-container")) told.push("not typeset: " + math.textContent.slice(0, 60));
            for (const error of document.querySelectorAll("mjx-merror, mjx-mtext[style*='red']"))
                told.push("bad formula " + error.closest("mjx-container").outerHTML.slice(0, 120));
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            for (let text; (text = texts.nextNode()); )
                if (/\\$[^$]*[\\\\^_][^$]*\\$/.test(text.data) && !text.parentElement.closest("pre, code, script"))
                    told.push("left as it was typed: " + text.data.slice(0, 60));
            const wide = document.documentElement.scrollWidth;
            if (wide > innerWidth) {
                const past = [...document.querySelectorAll("article *")].filter(
                    element => element.getBoundingClientRect().right > innerWidth + 1);
                told.push(`${wide} px wide on a screen of ${innerWidth}: ${past[0]?.outerHTML.slice(0, 120)}`);
            }
            return told;
        }"""
    )


@pytest.fixture(scope="module", params=WIDTHS.values(), ids=WIDTHS)
def found(browser, html, request):
    """What is wrong with each page of the table of contents, at a width."""
    told = faults(browser, [html / f"{page}.html" for page in pages()], request.param)
    return {page: told[html / f"{page}.html"] for page in pages()}


@pytest.mark.parametrize("page", pages())
def test_every_page_is_whole(found, page):
    assert found[page] == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_the_pages_that_sphinx_adds_are_whole(browser, html, width):
    """Search, the index, sources of the library; index.html itself only leads to the first page."""
    ours = {html / f"{page}.html" for page in pages()} | {html / "index.html"}
    others = sorted(page for page in set(html.rglob("*.html")) - ours if "_static" not in page.parts)
    assert {"search", "genindex", "decomposition"} <= {page.stem for page in others}
    assert {page.stem: told for page, told in faults(browser, others, width).items() if told} == {}


def test_the_book_opens_at_its_first_page(browser, html):
    page = browser.new_page()
    page.goto((html / "index.html").as_uri())
    page.wait_for_url(f"**/{pages()[0]}.html")
    page.close()


def test_pages_with_formulas_have_them(browser, html):
    """So that "all formulas are typeset" is not said of none."""
    text = (html / "book" / "notation.html").read_text()
    assert text.count('class="math') > 10


def test_a_search_finds_its_page(browser, html):
    page = browser.new_page()
    page.goto((html / "search.html").as_uri() + "?q=collusion")
    page.wait_for_selector("#search-results li a", timeout=20_000)
    assert "glossary" in page.locator("#search-results").inner_html()
    page.close()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('<img src="missing.png">', "broken image"),
        ('<p style="height: 9000px"><img loading="lazy" src="missing.png">', "broken image"),
        ('<img src="https://example.org/a.png">', "asks for https://example.org/a.png"),
        ("<script>console.error('oops')</script>", "console: oops"),
        ("<script>nobody.knows()</script>", "script: nobody is not defined"),
        (
            "<script>setTimeout(() => fetch('https://example.org/late'), 100)</script>",
            "asks for https://example.org/late",
        ),
        (r'<p class="math">\(x^2\)</p>', "not typeset"),
        ("<p>the square $x^2$</p>", "left as it was typed: the square"),
        ("<mjx-container><mjx-mtext style='color: red'>oops</mjx-mtext></mjx-container>", "bad formula"),
        ('<article><div style="width: 2000px">wide</div></article>', "wide on a screen of 390"),
    ],
)
def test_what_is_wrong_is_seen(browser, tmp_path, body, told):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta name=viewport content='width=device-width'><body>{body}")
    assert any(told in fault for fault in faults(browser, [page], WIDTHS["phone"])[page])


@pytest.fixture(params=WIDTHS.values(), ids=WIDTHS)
def flow(browser, html, request):
    """The slider of the chapter on collusion, on a page that may ask for nothing."""
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    asked = []
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else asked.append(r.url))
    page.goto((html / "notebooks" / "collusion.html").as_uri())
    slider = page.locator("#flow input[type=range]")
    slider.scroll_into_view_if_needed()
    yield page, slider
    assert not asked
    page.close()


def shown(page) -> dict:
    """What a reader sees of a frame, and what a screen reader is told."""
    return page.evaluate(
        """() => {
            const root = document.querySelector("#flow"), slider = root.querySelector("input");
            const dots = [...root.querySelectorAll(".dot")];
            return {
                time: root.querySelector("output").textContent,
                told: slider.getAttribute("aria-valuetext"),
                labels: [...root.querySelectorAll("svg")].map(svg => svg.getAttribute("aria-label")),
                losses: [...root.querySelectorAll("td")].map(cell => cell.textContent),
                dots: dots.map(dot => dot.getAttribute("transform")),
                inside: [...root.querySelectorAll(".panel, input")].every(part => {
                    const {left, right} = part.getBoundingClientRect();
                    return left >= 0 && right <= innerWidth;
                }),
            };
        }"""
    )


def test_the_slider_obeys_the_mouse(flow):
    page, slider = flow
    end = shown(page)
    assert end["inside"]
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 8, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
    halfway = shown(page)
    page.mouse.move(box["x"] + 2, middle, steps=5)
    page.mouse.up()
    start = shown(page)
    assert float(start["time"]) == 0 < float(halfway["time"]) < float(end["time"])
    for part in ("told", "labels", "losses", "dots"):
        assert len({str(frame[part]) for frame in (start, halfway, end)}) == 3, part


def test_the_slider_obeys_the_keyboard(flow):
    page, slider = flow
    end = shown(page)
    slider.focus()
    page.keyboard.press("ArrowLeft")
    before = shown(page)
    page.keyboard.press("ArrowRight")
    assert float(before["time"]) < float(end["time"]) and shown(page) == end
    page.keyboard.press("Home")
    assert float(shown(page)["time"]) == 0
    page.keyboard.press("End")
    assert shown(page) == end


def test_the_slider_says_what_it_shows(flow):
    """Four panels in words, the same numbers as below them; named for who cannot see it."""
    page, _ = flow
    end = shown(page)
    assert len(end["labels"]) == 4 and all(label in end["told"] for label in end["labels"])
    assert all(loss in end["told"] for loss in end["losses"])
    assert page.get_by_role("slider", name="Time").count() == 1
    assert page.get_by_role("group", name="Four learners").count() == 1


def test_at_the_end_joint_learners_are_far_off_and_independent_ones_are_not(flow):
    page, _ = flow
    individual, diversity, ensemble = (map(float, shown(page)["losses"][part::3]) for part in range(3))
    alone, nearly, joint, *_ = zip(individual, diversity, ensemble, strict=True)
    assert max(alone) < 0.01 and joint[2] < 0.01 < 0.5 < joint[0]
    assert alone[0] < nearly[0] < joint[0]


def test_the_same_slider_twice_on_a_page_is_two_sliders(browser, html, tmp_path):
    """As Jupyter Lab's second view of an output; also what a page under file:// of its own shows."""
    text = (html / "notebooks" / "collusion.html").read_text()
    whole = (
        text[text.index('<div class="flow"') : text.index("</script>", text.index('<div class="flow"')) + 9] + "</div>"
    )
    (tmp_path / "twice.html").write_text(f"<!doctype html><meta charset=utf-8><body>{whole}{whole}")
    page = browser.new_page()
    page.goto((tmp_path / "twice.html").as_uri())
    sliders, times = page.locator("input[type=range]"), page.locator("output")
    for index in (0, 1):
        sliders.nth(index).focus()
        page.keyboard.press("Home")
        assert [float(times.nth(i).inner_text()) == 0 for i in (0, 1)] == [True, index == 1]
    page.close()


def test_without_scripts_the_last_frame_stands(browser, html):
    pages = [browser.new_context(java_script_enabled=enabled).new_page() for enabled in (True, False)]
    seen = []
    for page in pages:
        page.goto((html / "notebooks" / "collusion.html").as_uri())
        seen.append(page.locator("#flow .panels").inner_text() + page.locator("#flow output").inner_text())
        page.context.close()
    assert seen[0] == seen[1] and "β = 1" in seen[0]


@pytest.mark.parametrize("chapter", ["decomposition", "collusion", "objective"])
def test_a_chapter_with_its_pictures_is_light(html, chapter):
    """Under 3 MB: what the page itself brings, apart from the theme."""
    text = (html / "notebooks" / f"{chapter}.html").read_text()
    pictures = {html / "notebooks" / source for source in re.findall(r'<img[^>]* src="(\.\./_images/[^"]+)"', text)}
    assert pictures
    assert len(text.encode()) + sum(picture.stat().st_size for picture in pictures) < 3e6


@pytest.mark.parametrize("chapter", ["decomposition", "collusion", "objective"])
def test_solutions_are_folded_and_open(browser, html, chapter):
    page = browser.new_page()
    page.goto((html / "notebooks" / f"{chapter}.html").as_uri())
    solutions = page.locator(".solution")
    assert solutions.count() == page.locator(".exercise").count() >= 3
    for index in range(solutions.count()):
        output = solutions.nth(index).locator(".cell_output").first
        assert not output.is_visible()
        solutions.nth(index).locator("button").first.click()
        assert output.is_visible()
    page.close()


def test_links_from_theorems_reach_their_tests(browser, html):
    page = browser.new_page()
    page.goto((html / "notebooks" / "collusion.html").as_uri())
    page.locator("a", has_text="test_gradients_are_the_closed_forms").first.click()
    page.wait_for_url("**/book/theorems.html#theory-test-gradients-test-gradients-are-the-closed-forms")
    assert "def test_gradients_are_the_closed_forms" in page.locator("article").inner_text()
    page.close()
