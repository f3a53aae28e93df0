"""The page in a real browser: what a person sees, types and clicks, at every width and in both themes."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import run
from tests.preview import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page, ViewportSize

    Open = Callable[..., Page]

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = sync_api.expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt install chromium)")

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
# The contrast of everything written that a selector finds: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
CONTRAST = """(selector) => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = parts(getComputedStyle(node).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    throw new Error("nothing behind");
  };
  return [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility()).map((node) => {
    const [dim, bright] = [light(parts(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => a - b);
    return (bright + 0.05) / (dim + 0.05);
  });
}"""
WRITING = (
    "h1, .summary, .notes li, .status, h2, .chip span, .count, .question, .answer, .facts, .badge, .caption, "
    ".ends span, .hint, .where, .report, footer"
)
LEAST_SIDES = """nodes => nodes.filter(node => node.checkVisibility() && !node.matches('.skip'))
  .map(node => node.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"""
NAMELESS = """nodes => nodes.filter(node => node.checkVisibility()).filter(
  node => !(node.getAttribute('aria-label') || node.labels?.length || node.textContent.trim())).length"""
INJECT = """() => document.body.append(
  Object.assign(document.createElement('script'), {textContent: 'window.__pwned = 1'}))"""

FOUND = {"acorn": 6, "TEXT-4": 1, "archery g02": 1, "窗台": 1, "باريس": 1, "ירושלים": 1, "cafe elysee": 1, "🎉": 1}
FOUND |= {"scene-00061": 1, "half scene": 1, "CAFÉ": 1, "acorn hill": 6, "halloran": 6, "classify": 13}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open a file in a window of its own; whatever the test does, nothing may be complained of or asked for."""
    windows, heard = [], []

    def open_page(path: Path, hash_: str = "", *, width: int = 1440, height: int = 900, **options: Any) -> Page:
        size: ViewportSize = {"width": width, "height": height}
        context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
        windows.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
        page.on("request", lambda asked: heard.append(asked.url) if asked.url.split("#")[0] != path.as_uri() else None)
        page.goto(path.as_uri() + hash_)
        expect(page.get_by_role("status")).to_have_text(re.compile(r"\d records?$"))
        return page

    yield open_page
    for window in windows:
        window.close()
    assert heard == []


@pytest.fixture(scope="module")
def variety(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pages.variety(tmp_path_factory.mktemp("variety"), notes=["A note that a person should read."])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pages.variety(tmp_path_factory.mktemp("report"), filter="findings")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pages.many(tmp_path_factory.mktemp("many"), 10_000)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    run("sample", "nlvr2", folder / "raw")
    run("convert", "nlvr2", "--source", folder / "raw", "--out_dir", folder / "pairs")
    return folder / "pairs"


def cards(page: Page) -> Locator:
    return page.get_by_role("list", name="Records").get_by_role("button")


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox").fill(text)


def status(page: Page, text: str) -> None:
    expect(page.get_by_role("status")).to_have_text(text)


class TestOpening:
    def test_says_what_the_dataset_is(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        expect(page).to_have_title("Clips, pages and questions")
        expect(page.get_by_role("heading", level=1)).to_have_text("Clips, pages and questions")
        expect(page.locator("#summary")).to_have_text("39 records · 212 images · 4 splits")
        expect(page.get_by_text("A note that a person should read.")).to_be_visible()
        expect(page.get_by_role("region", name="About the dataset as a whole")).to_contain_text(
            "'Archery' has 6 records"
        )

    def test_shows_a_video_as_its_frames_in_their_order(self, visit: Open, variety: Path) -> None:
        frames = cards(visit(variety)).first.locator("img")
        expect(frames).to_have_count(8)
        loaded = "images => images.every(image => image.complete && image.naturalWidth === 8 * 128 + 7)"
        assert frames.first.evaluate("image => image.decode().then(() => true)")
        assert frames.evaluate_all(loaded)
        lefts = frames.evaluate_all("images => images.map(image => parseFloat(image.style.left))")
        assert lefts == sorted(lefts, reverse=True)

    def test_a_dataset_of_nothing_says_so(self, visit: Open, tmp_path: Path) -> None:
        page = visit(pages.assemble(tmp_path, pages.facts_of([]), []))
        expect(page.get_by_text("There are no records here.")).to_be_visible()
        expect(page.get_by_role("button", name="Clear all filters")).to_be_hidden()

    def test_a_record_without_images_is_a_card_of_text(self, visit: Open, tmp_path: Path) -> None:
        record = pages.record_of(0, "Why?", "Because.")
        page = visit(pages.assemble(tmp_path, pages.facts_of([record]), [(record, "")]))
        expect(cards(page)).to_have_count(1)
        expect(cards(page).first).to_contain_text("Because.")
        expect(page.get_by_role("region", name="Longer side of images")).to_be_hidden()

    def test_cards_leave_out_what_many_questions_begin_with(self, visit: Open, tmp_path: Path) -> None:
        order = "You are given two photos of one place, the second taken years later. Is this statement true: "
        asked = [
            f'{order}"{colour} doors are {state}."' for colour in ("Red", "Green", "Blue") for state in ("new", "old")
        ]
        asked += [order, "What is shown?"]
        records = [pages.record_of(number, question) for number, question in enumerate(asked)]
        page = visit(pages.assemble(tmp_path, pages.facts_of(records), [(record, "") for record in records]))
        questions = cards(page).locator(".question")
        expect(questions).to_have_text(
            [
                *(
                    f'… "{colour} doors are {state}."'
                    for colour in ("Red", "Green", "Blue")
                    for state in ("new", "old")
                ),
                "… Is this statement true:",
                "What is shown?",
            ]
        )
        expect(page.get_by_role("button", name='"Red doors are new."')).to_be_visible()
        cards(page).first.click()
        expect(page.get_by_role("dialog")).to_contain_text(f'{order}"Red doors are new."')

    def test_cards_leave_out_such_a_beginning_in_a_script_without_spaces_too(self, visit: Open, tmp_path: Path) -> None:
        order = "第一张图片是左边的图片、第二张图片是右边的图片。根据左右两张图片、判断以下陈述是否正确。"
        said = ["左边有两只狗。", "右边有一棵树。", "两张图片里都有水。", "天是蓝色的。"]
        records = [pages.record_of(number, order + words) for number, words in enumerate(said)]
        page = visit(pages.assemble(tmp_path, pages.facts_of(records), [(record, "") for record in records]))
        expect(cards(page).locator(".question")).to_have_text([f"… {words}" for words in said])

    def test_cards_have_room_for_what_texts_typically_need(self, visit: Open, tmp_path: Path) -> None:
        sentence = "{}: is it true that one photo shows a lake at sunset and the other a bridge in deep snow?"
        heights = []
        for asked in ("{}: which one?", sentence):
            entries = []
            for number in range(12):
                fields, strip = pages.pictures(number, [(400, 300)], 96)
                entries.append((pages.record_of(number, asked.format(number), "yes", **fields), strip))
            page = visit(pages.assemble(tmp_path, pages.facts_of([record for record, _ in entries]), entries))
            questions = cards(page).locator(".question")
            assert questions.evaluate_all("nodes => nodes.every(node => node.scrollHeight <= node.clientHeight)")
            heights.append(cards(page).first.evaluate("node => node.offsetHeight"))
        assert heights[0] < heights[1]

    def test_what_is_blank_or_was_not_read_is_said(self, visit: Open, tmp_path: Path) -> None:
        unread = pages.record_of(2, id=None) | {"raw": "", "tokens": 0}
        del unread["turns"]
        records = [pages.record_of(0, " \n", ""), pages.record_of(1, "Why?", None), unread]
        page = visit(pages.assemble(tmp_path, pages.facts_of(records), [(record, "") for record in records]))
        expect(cards(page).locator(".texts")).to_have_text(
            ["blankblank", "Why?no answer: to be predicted", "too long to be shown, or gone since"]
        )
        cards(page).first.click()
        expect(page.get_by_role("dialog").locator(".none")).to_have_text(["blank", "blank"])
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("dialog").locator(".none")).to_have_text(["no answer: to be predicted"])
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("dialog")).to_contain_text("This line is too long to be shown, or gone since.")


class TestSearch:
    def test_finds_words_wherever_they_stand(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        for words, found in FOUND.items():
            search(page, words)
            status(page, f"{found} of 39 records")

    def test_says_how_to_go_on_when_nothing_is_found(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        search(page, "zebra")
        expect(page.get_by_text("No record matches.")).to_be_visible()
        page.get_by_role("button", name="Clear all filters").click()
        status(page, "39 records")
        expect(page.get_by_role("searchbox")).to_have_value("")

    def test_escape_clears_it(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        search(page, "acorn")
        status(page, "6 of 39 records")
        page.get_by_role("searchbox").press("Escape")
        status(page, "39 records")


class TestFilters:
    def test_by_split_class_and_finding(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        page.get_by_role("button", name="val 12").click()
        status(page, "12 of 39 records")
        page.get_by_role("button", name="train 26").click()
        status(page, "38 of 39 records")
        page.get_by_role("combobox", name="Class").select_option("Bowling (1)")
        status(page, "1 of 39 records")
        page.get_by_role("button", name="E404 truncated image").click()
        status(page, "1 of 39 records")
        expect(cards(page).first).to_contain_text("the image 'train/gone.jpg' does not exist")
        page.get_by_role("button", name="Clear all").click()
        status(page, "39 records")

    def test_an_empty_split_is_there_and_empty(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        page.get_by_role("button", name="test 0").click()
        status(page, "0 of 39 records")

    def test_with_and_without_findings(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        page.get_by_role("button", name="Without").click()
        status(page, "34 of 39 records")
        page.get_by_role("button", name="With", exact=True).click()
        status(page, "5 of 39 records")

    def test_by_a_bar_of_a_figure(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        figure = page.get_by_role("group", name="Tokens per record")
        bar = figure.get_by_role("button", name="1,000 to 1,999 tokens: 18 records")
        bar.click()
        status(page, "18 of 39 records")
        expect(bar).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("table", name="Longer side of images")).to_contain_text("96")
        page.get_by_role("button", name="Remove the filter 1,000 to 1,999 tokens").click()
        status(page, "39 records")

    def test_a_view_is_in_the_address(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        page.get_by_role("button", name="train 26").click()
        page.get_by_role("combobox", name="Class").select_option("Archery (6)")
        search(page, "g02")
        status(page, "1 of 39 records")
        address = page.url
        page.reload()
        status(page, "1 of 39 records")
        expect(page.get_by_role("searchbox")).to_have_value("g02")
        expect(page.get_by_role("button", name="train 26")).to_have_attribute("aria-pressed", "true")
        page.go_back()
        status(page, "6 of 39 records")
        status(visit(variety, address[address.index("#") :]), "1 of 39 records")

    def test_a_report_begins_with_what_was_found(self, visit: Open, report: Path) -> None:
        page = visit(report)
        status(page, "5 of 39 records")
        expect(cards(page).first).to_contain_text("the answer has 50,031 characters")
        page.get_by_role("button", name="Remove the filter with findings").click()
        status(page, "39 records")


class TestOneRecord:
    def test_shows_the_whole_conversation(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        search(page, "doc-3")
        status(page, "1 of 39 records")
        cards(page).first.click()
        record = page.get_by_role("dialog", name="doc-3")
        for text in (
            "What is the date of the letter?",
            "March 14, 1962",
            "Mr. J. Halloran",
            "1,240 × 1,754",
            "made_train.jsonl:22",
        ):
            expect(record).to_contain_text(text)
        expect(record.get_by_role("img", name="val/documents/scene-00063.0.jpg")).to_be_visible()

    def test_copies_where_it_stands(self, visit: Open, variety: Path) -> None:
        page = visit(variety, "#record=3", permissions=["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy file:line").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "made_train.jsonl:4"

    def test_a_long_answer_is_whole_and_scrolls(self, visit: Open, variety: Path) -> None:
        page = visit(variety, "#record=30")
        body = page.get_by_role("region", name="The whole record")
        expect(body).to_contain_text("You are a patient scribe.")
        assert len(body.locator(".reply .said").inner_text()) > 50_000
        body.press("End")
        expect(body).not_to_have_js_property("scrollTop", 0)

    def test_says_what_is_wrong_with_an_image(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        search(page, "half")
        status(page, "1 of 39 records")
        faults = cards(page).first.locator(".fault")
        expect(faults).to_have_count(2)
        expect(cards(page).first).to_contain_text("missing")
        cards(page).first.click()
        record = page.get_by_role("dialog", name="half")
        expect(record.locator(".finding").first).to_contain_text("E401")
        expect(record).to_contain_text("/conversations/0/images/5")
        expect(record).to_contain_text("Fetch the file again.")
        expect(record.locator("figcaption", has_text="truncated")).to_have_count(1)

    def test_a_line_that_is_no_record_is_shown_as_it_is(self, visit: Open, report: Path) -> None:
        page = visit(report)
        cards(page).filter(has_text='"conversations": [<script>').click()
        expect(page.get_by_role("dialog")).to_contain_text("the line is no JSON: expected ',' at character 31")

    def test_back_closes_it_and_a_link_opens_it(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        cards(page).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.go_forward()
        expect(page.get_by_role("dialog", name="train-0000000000")).to_be_visible()

    def test_opened_again_at_once_it_stays_open(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        cards(page).first.click()
        # The browser tells of a closed dialog only later, which here is after the next one was opened.
        page.evaluate("""() => new Promise((told) => {
          document.getElementById("detail").addEventListener("close", told);
          addEventListener("hashchange", () => document.querySelector(".item").click(), {once: true});
          history.back();
        })""")
        expect(page.get_by_role("dialog", name="train-0000000000")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("dialog")).to_be_hidden()
        status(page, "39 records")

    def test_next_and_previous_keep_to_what_the_filters_leave(self, visit: Open, report: Path) -> None:
        page = visit(report)
        cards(page).first.click()
        expect(page.get_by_role("button", name="Previous record")).to_be_disabled()
        onward = page.get_by_role("button", name="Next record")
        onward.click()
        expect(page.get_by_role("dialog", name="gone")).to_be_visible()
        expect(onward).to_be_focused()
        onward.click()
        expect(page.get_by_role("dialog", name="half")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        expect(page.locator(":focus")).to_have_accessible_name(re.compile("^half"))

    def test_right_to_left_text_runs_from_the_right(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        search(page, "text-0")
        status(page, "1 of 39 records")
        question = cards(page).first.locator(".question")
        assert question.evaluate("node => getComputedStyle(node).direction") == "rtl"

    def test_what_is_left_out_is_said(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        search(page, "lots")
        status(page, "1 of 39 records")
        expect(cards(page).first).to_contain_text("+73")
        cards(page).first.click()
        record = page.get_by_role("dialog", name="lots")
        expect(record.get_by_role("img")).to_have_count(24)
        expect(record).to_contain_text("64 more images not shown")
        expect(record).to_contain_text("1,200 characters of the texts left out")

    def test_texts_from_right_to_left_end_at_one_edge(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        search(page, "باريس")
        status(page, "1 of 39 records")
        cards(page).first.click()
        said = page.get_by_role("dialog").locator(".said")
        expect(said).to_have_count(2)
        assert said.evaluate_all("nodes => new Set(nodes.map(node => node.getBoundingClientRect().right)).size") == 1


class TestKeyboard:
    def test_everything_is_reached_and_done_by_keys(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        focused = page.locator(":focus")
        keys = page.keyboard
        keys.press("/")
        expect(focused).to_have_role("searchbox")
        keys.type("classify")
        status(page, "13 of 39 records")
        keys.press("Tab")
        expect(focused).to_have_accessible_name("train 26")
        keys.press("Space")
        status(page, "13 of 39 records")
        expect(focused).to_have_attribute("aria-pressed", "true")
        for _ in range(30):
            keys.press("Tab")
            if focused.evaluate("node => node.matches('.card')"):
                break
        expect(focused).to_have_accessible_name(re.compile("^train-0000000000"))
        keys.press("ArrowRight")
        expect(focused).to_have_accessible_name(re.compile("^train-0000000001"))
        keys.press("ArrowDown")
        keys.press("ArrowLeft")
        expect(focused).to_have_accessible_name(re.compile("^train-0000000002"))
        keys.press("End")
        expect(focused).to_have_accessible_name(re.compile("^half"))
        keys.press("Home")
        keys.press("Enter")
        expect(page.get_by_role("dialog", name="train-0000000000")).to_be_visible()
        expect(page.locator("#detail-place")).to_have_text("1 of 13 · train")
        keys.press("ArrowRight")
        keys.press("ArrowRight")
        expect(page.get_by_role("dialog", name="train-0000000002")).to_be_visible()
        keys.press("ArrowLeft")
        keys.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(focused).to_have_accessible_name(re.compile("^train-0000000001"))
        expect(focused).to_be_in_viewport()

    def test_bars_are_walked_and_pressed(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        figure = page.get_by_role("group", name="Tokens per record")
        figure.get_by_role("button").first.focus()
        page.keyboard.press("ArrowRight")
        bar = page.locator(":focus")
        expect(bar).to_have_accessible_name(re.compile(r"^50 to 99 tokens: \d+ records$"))
        page.keyboard.press("Enter")
        expect(bar).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("button", name="Remove the filter 50 to 99 tokens")).to_be_visible()

    def test_the_shortcuts_are_told(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("First and last record")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()

    def test_the_records_are_one_key_away(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the records")
        page.keyboard.press("Enter")
        expect(page.locator(":focus")).to_have_accessible_name(re.compile("^train-0000000000"))


class TestWidthsAndThemes:
    @pytest.mark.parametrize("width", [320, 390, 768, 1024])
    def test_nothing_runs_out_at_the_side(self, visit: Open, variety: Path, width: int) -> None:
        page = visit(variety, width=width, height=844, has_touch=True)
        panel = page.locator("summary")
        if panel.is_visible():
            panel.click()
        over = "() => document.documentElement.scrollWidth - innerWidth"
        assert page.evaluate(over) <= 0
        page.evaluate("location.hash = '#record=38'")
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate(over) <= 0
        body = page.get_by_role("region", name="The whole record")
        assert body.evaluate("node => node.scrollWidth - node.clientWidth") <= 0

    def test_a_phone_folds_the_filters_and_has_room_for_fingers(self, visit: Open, variety: Path) -> None:
        page = visit(variety, width=390, height=844, has_touch=True, is_mobile=True)
        expect(page.get_by_role("button", name="train 26")).to_be_hidden()
        page.get_by_text("Filters and figures").click()
        expect(page.get_by_role("button", name="train 26")).to_be_visible()
        assert min(page.locator("button, select, input, summary").evaluate_all(LEAST_SIDES)) >= 40

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_everything_written_can_be_read(self, visit: Open, report: Path, scheme: str) -> None:
        page = visit(report, color_scheme=scheme)
        page.get_by_role("button", name="train 26").click()
        status(page, "4 of 39 records")
        ratios = page.evaluate(CONTRAST, WRITING)
        assert len(ratios) > 40
        assert min(ratios) >= 4.5
        cards(page).nth(1).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert (
            min(
                page.evaluate(
                    CONTRAST, "#detail :is(h2, h3, dt, dd, .said, .badge, .hint, .where, figcaption, .wrong, p)"
                )
            )
            >= 4.5
        )

    def test_the_theme_follows_the_system_until_chosen(self, visit: Open, variety: Path) -> None:
        background = "getComputedStyle(document.documentElement).backgroundColor"
        light, dark = visit(variety, color_scheme="light"), visit(variety, color_scheme="dark")
        assert light.evaluate(background) != dark.evaluate(background)
        toggle = light.get_by_role("button", name="Dark theme")
        expect(toggle).to_have_attribute("aria-pressed", "false")
        toggle.click()
        expect(toggle).to_have_attribute("aria-pressed", "true")
        assert light.evaluate(background) == dark.evaluate(background)
        kept = light.evaluate("({...localStorage})")
        assert kept == {"phi3v-theme": "dark"}
        # Chromium may drop what a page stored right before it is left, so the next visit is handed it by the test
        light.add_init_script(f"Object.assign(localStorage, {json.dumps(kept)})")
        light.reload()
        expect(toggle).to_have_attribute("aria-pressed", "true")
        assert light.evaluate(background) == dark.evaluate(background)


class TestPrinting:
    def test_the_first_records_are_printed_and_the_rest_counted(self, visit: Open, many: Path) -> None:
        page = visit(many)
        on_screen = cards(page).count()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        expect(cards(page)).to_have_count(200)
        expect(page.get_by_text("9,800 more records not printed: filter to fewer.")).to_be_visible()
        lowest = "nodes => Math.max(...nodes.map(node => node.getBoundingClientRect().bottom))"
        foot = page.get_by_role("contentinfo").evaluate("node => node.getBoundingClientRect().top")
        assert 0 <= foot - page.locator(".item").evaluate_all(lowest) < 200
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(cards(page)).to_have_count(on_screen)

    def test_paper_is_not_dark(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        page.get_by_role("button", name="Dark theme").click()
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"

    def test_an_open_record_is_printed_whole_and_alone(self, visit: Open, variety: Path) -> None:
        page = visit(variety, "#record=30")
        page.emulate_media(media="print")
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.get_by_role("main")).to_be_hidden()
        body = page.locator("#detail-body")
        assert body.evaluate("node => node.scrollHeight - node.clientHeight") == 0
        assert page.evaluate("document.documentElement.scrollHeight") > 5000


class TestEscaping:
    def test_markup_in_the_data_is_text(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        search(page, "is this safe")
        status(page, "1 of 39 records")
        expect(cards(page).first).to_contain_text(f"Is this safe? {pages.SCRIPT}")
        expect(page.get_by_role("group", name="Splits").get_by_role("button", name=pages.SCRIPT)).to_be_visible()
        cards(page).first.click()
        record = page.get_by_role("dialog", name=pages.SCRIPT + pages.BREAKOUT)
        for text in (
            f"Yes: {pages.BREAKOUT} </script><!-- {{{{script}}}}",
            f"{pages.SCRIPT}.jsonl:39",
            f"holds {pages.BREAKOUT}",
        ):
            expect(record).to_contain_text(text)
        assert page.evaluate("window.__pwned") is None
        assert page.locator("img[src=x]").count() == 0

    def test_the_policy_lets_nothing_else_run(self, visit: Open, variety: Path, browser: Browser) -> None:
        page = browser.new_page()
        page.goto(variety.as_uri())
        page.evaluate(INJECT)
        assert page.evaluate("window.__pwned") is None
        page.close()


class TestTenThousandRecords:
    def test_only_what_is_near_is_in_the_document(self, visit: Open, many: Path) -> None:
        page = visit(many)
        status(page, "10,000 records")
        assert 4 <= cards(page).count() < 200
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        last = page.get_by_role("button", name=re.compile("^train-0000009999"))
        expect(last).to_be_in_viewport()
        assert cards(page).count() < 200
        assert page.locator("*").count() < 4_000
        assert page.locator(".item").last.get_attribute("aria-posinset") == "10000"
        assert page.locator(".item").last.get_attribute("aria-setsize") == "10000"

    def test_a_needle_is_found(self, visit: Open, many: Path) -> None:
        page = visit(many)
        search(page, "needle record")
        status(page, "1 of 10,000 records")
        expect(cards(page).first).to_have_accessible_name(re.compile("^train-0000009993"))

    def test_keys_walk_far(self, visit: Open, many: Path) -> None:
        page = visit(many)
        cards(page).first.focus()
        page.keyboard.press("End")
        expect(page.locator(":focus")).to_have_accessible_name(re.compile("^train-0000009999"))
        page.keyboard.press("PageUp")
        expect(page.locator(":focus")).to_have_accessible_name(re.compile("^train-00000099[89]"))
        expect(page.locator(":focus")).to_be_in_viewport()
        page.keyboard.press("Home")
        expect(page.locator(":focus")).to_have_accessible_name(re.compile("^train-0000000000"))

    def test_the_focused_card_stays_while_the_sheet_scrolls_on(self, visit: Open, many: Path) -> None:
        page = visit(many)
        cards(page).first.focus()
        page.evaluate("scrollTo(0, 500_000)")
        expect(page.locator(".item").first).to_have_attribute("aria-posinset", "1")
        expect(page.locator(".item").nth(1)).to_have_attribute("aria-posinset", re.compile(r"^\d{4}$"))
        page.keyboard.press("ArrowRight")
        expect(page.locator(":focus")).to_have_accessible_name(re.compile("^train-0000000001"))
        expect(page.locator(":focus")).to_be_in_viewport()

    def test_a_window_of_another_width_shows_the_same_records(self, visit: Open, many: Path) -> None:
        page = visit(many)
        page.evaluate("scrollTo(0, 500_000)")
        expect(page.locator(".item").first).to_have_attribute("aria-posinset", re.compile(r"^\d{4}$"))
        at_top = page.locator(".item").evaluate_all(
            "nodes => nodes.find(node => node.getBoundingClientRect().bottom > 100).getAttribute('aria-posinset')"
        )
        for width in (1024, 600, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            expect(page.locator(f"[aria-posinset='{at_top}']")).to_be_in_viewport()


class TestRoles:
    def test_landmarks_and_names_are_there(self, visit: Open, variety: Path) -> None:
        page = visit(variety)
        for role, name in [
            ("search", None),
            ("complementary", "Filters and figures"),
            ("main", None),
            ("banner", None),
            ("contentinfo", None),
        ]:
            expect(page.get_by_role(role, **({"name": name} if name else {}))).to_have_count(1)  # type: ignore[arg-type]
        for heading in ("Splits", "Class", "Findings", "Tokens per record", "Longer side of images", "Records"):
            expect(page.get_by_role("heading", name=heading, exact=True)).to_have_count(1)
        first = page.get_by_role("listitem").filter(has=page.locator(".card")).first
        expect(first).to_have_attribute("aria-setsize", "39")
        expect(cards(page).first).to_have_accessible_name(
            re.compile(r"^train-0000000000\. train\. 8 images\. Classify .*Answer: Archery\.$")
        )
        assert page.locator("button, input, select, [role=button]").evaluate_all(NAMELESS) == 0


class TestTheCommands:
    """Pages as `preview` and `validate --report` write them, of data on disk."""

    def test_preview_shows_every_picture(self, visit: Open, data: Path) -> None:
        out = data.parent / "page.html"
        run("preview", data, "--out", out)
        page = visit(out)
        status(page, "24 records")
        expect(page.get_by_text("Nothing found: the data are clean.")).to_be_visible()
        cards(page).first.click()
        pictures = page.locator("dialog img")
        expect(pictures.first).to_be_visible()
        assert pictures.evaluate_all("nodes => nodes.length && nodes.every(node => node.complete && node.naturalWidth)")

    def test_report_begins_with_what_was_found(self, visit: Open, data: Path) -> None:
        broken = data.parent / "broken"
        shutil.copytree(data, broken)
        lost = min((broken / "images").rglob("*.png"))
        lost.unlink()
        out = data.parent / "report.html"
        run("validate", broken, "--report", out, "--ignore", "E6", code=1)
        page = visit(out)
        expect(page.get_by_role("status")).to_have_text(re.compile(r"^[1-9]\d? of 24 records$"))
        expect(cards(page).first).to_contain_text("E401")
        cards(page).first.click()
        expect(page.get_by_role("dialog")).to_contain_text(lost.name)
        expect(page.get_by_role("dialog")).to_contain_text("does not exist")
