"""The built book as a reader sees it: every page in headless Chromium, on a desk and on a phone.

No request leaves the page, no console error, no broken image, mathematics typeset, nothing wider than the screen.
Skipped where no Chromium or Chrome is installed; `.ci/run` installs one.
"""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = {"desk": 1280, "phone": 390}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium calls home by itself; what is tested is what the pages ask for.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


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


def faults(browser, path: Path, width: int) -> list[str]:
    """What is wrong with a page at a width, in words."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page, found = context.new_page(), []

    def local_only(route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            return route.continue_()
        found.append(f"asks for {route.request.url}")
        return route.abort()

    page.route("**/*", local_only)
    page.on("console", lambda message: message.type == "error" and found.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"script: {error}"))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")  # scripts that ask later than that are found in the pages' text
    page.evaluate("async () => { await window.MathJax?.startup?.promise }")
    found += page.evaluate(
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
    context.close()
    return found


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("page", pages())
def test_every_page_is_whole(browser, html, page, width):
    assert faults(browser, html / f"{page}.html", width) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_the_pages_that_sphinx_adds_are_whole(browser, html, width):
    """Search, the index, sources of the library; index.html itself only leads to the first page."""
    ours = {html / f"{page}.html" for page in pages()} | {html / "index.html"}
    others = sorted(page for page in set(html.rglob("*.html")) - ours if "_static" not in page.parts)
    assert {"search", "genindex", "decomposition"} <= {page.stem for page in others}
    assert {page.stem: told for page in others if (told := faults(browser, page, width))} == {}


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
        (r'<p class="math">\(x^2\)</p>', "not typeset"),
        ("<p>the square $x^2$</p>", "left as it was typed: the square"),
        ("<mjx-container><mjx-mtext style='color: red'>oops</mjx-mtext></mjx-container>", "bad formula"),
        ('<article><div style="width: 2000px">wide</div></article>', "wide on a screen of 390"),
    ],
)
def test_what_is_wrong_is_seen(browser, tmp_path, body, told):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta name=viewport content='width=device-width'><body>{body}")
    assert any(told in fault for fault in faults(browser, page, WIDTHS["phone"]))
