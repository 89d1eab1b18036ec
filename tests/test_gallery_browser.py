"""The gallery in a real browser, from the disk: what it shows, what it does, and that nothing is logged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.simulation.painter import paint
from penstock_io.batch.gallery import Card, gallery
from tests.chromium import Chromium, Told, chromium

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

if BROWSER is None and os.environ.get("PENSTOCK_REQUIRE_SERVICES") != "1":
    pytest.skip("no chromium here", allow_module_level=True)

MISSING = "images/missing.svg"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser; where services are required, one has to be there."""
    assert BROWSER is not None, "chromium is required here: apt-get install chromium"
    with chromium(BROWSER, tmp_path_factory.mktemp("browser")) as running:
        yield running


def drive(browser: Chromium, folder: Path, script: str, place: str = "", width: int = 1440, height: int = 900) -> Told:
    """Let a script use a folder's page in a view of that size; gives what it told. Claims that nothing was logged."""
    with browser.page((folder / "index.html").as_uri() + place, width, height) as page:
        told = page.run(script)
        assert [] == [each for each in page.logged() if MISSING not in each]
    return told


def folder_of(path: Path, cards: list[Card], title: str = "a batch") -> Path:
    """A folder with a page and its pictures."""
    (path / "images").mkdir()
    for number, file in enumerate(sorted({file for card in cards for file in card.files if file != MISSING})):
        (path / file).write_bytes(paint(file, "64x64", "low", number))
    summary = {
        "requested": len(cards),
        "images": sum(len(card.files) for card in cards),
        "cost_usd": "31.5",
        "maybe_billed_usd": "0.0063",
        "seconds": 125.0,
        "images_per_minute": 118.24,
    }
    (path / "index.html").write_text(gallery(cards, summary, title=title), "utf-8")
    return path


ODD = (
    "<script>alert(1)</script>",
    "مشهد بحري عند الغروب",
    "\N{FOX FACE} in the woods",
    "x " * 2500,
    "a\u2028b\u202ec",
    "",
)
NAMES = (
    "a#b",
    "50%25",
    "what?",
    "two  words",
    "q\"uo'te",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{RIGHTWARDS ARROW}",
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six odd prompts with odd file names, then a row of each other status, and one whose file is gone."""
    cards = [
        Card(name, place, "completed", (f"images/{name}.png",), prompt, "gpt-image-2", "64x64", "low", "0.0063", 1.5, 1)
        for place, (prompt, name) in enumerate(zip(ODD, NAMES, strict=True))
    ]
    cards += [
        Card(
            "f",
            6,
            "failed",
            (),
            "a fox that failed",
            "gpt-image-1",
            "64x64",
            "low",
            "0",
            2.0,
            3,
            error="<b>refused</b>",
        ),
        Card(
            "d",
            7,
            "ambiguous",
            (),
            "a doubtful dog",
            "gpt-image-2",
            "64x64",
            "low",
            None,
            2.0,
            1,
            error="perhaps billed",
        ),
        Card(None, 8, "invalid", error="in.jsonl:9: size: 1x is no size"),
        Card("p", 9, "pending", (), "a pending pig"),
        Card(
            "t",
            10,
            "partial",
            ("images/t-1.png", "images/t-2.png"),
            "two of three",
            "gpt-image-2",
            "64x64",
            meta={"sku": "Z-77"},
        ),
        Card("m", 11, "completed", (MISSING,), "moved away", cached=True, shared=True, warnings=("w",)),
    ]
    return folder_of(tmp_path_factory.mktemp("mixed"), cards, "<i>mixed</i>")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5,000 rows, one in a hundred failed."""
    cards = [
        Card(f"r{n}", n, "failed", (), f"fox {n}", size="1024x1024", error="timed out")
        if n % 100 == 7
        else Card(
            f"r{n}", n, "completed", (f"images/{n % 40}.png",), f"owl {n}", size="1024x1024", cost_usd=f"0.{n:05}"
        )
        for n in range(5000)
    ]
    return folder_of(tmp_path_factory.mktemp("many"), cards)


def test_every_row_is_a_card(browser: Chromium, mixed: Path) -> None:
    """Each row has its card with its prompt or name; pictures load whatever their names; failures say why."""
    told = drive(
        browser,
        mixed,
        """const loaded = () => all(".shot img").filter((each) => each.complete && each.naturalWidth === 64).length;
        await until(() => loaded() === 8 && all(".shot.gone").length);
        told.prompts = all(".prompt").map((each) => each.textContent);
        told.loaded = loaded();
        told.gone = all(".shot.gone").length;
        told.why = all(".why span").map((each) => each.textContent);
        told.marks = all(".card:last-child .mark").map((each) => each.textContent);
        told.nameless = all("button, img, input, select").filter((each) =>
          !(each.getAttribute("aria-label") || each.alt || each.textContent.trim() || each.labels?.length)).length;
        told.scripts = all("script").length;
        told.title = d.title; told.head = d.getElementById("title").textContent;""",
    )
    names = [
        *ODD[:5],
        NAMES[5],
        "a fox that failed",
        "a doubtful dog",
        "row 9",
        "a pending pig",
        "two of three",
        "moved away",
    ]
    assert names == told["prompts"]
    assert (8, 1) == (told["loaded"], told["gone"])
    why = [
        "<b>refused</b>",
        "perhaps billed",
        "in.jsonl:9: size: 1x is no size",
        "Not sent yet: the same command goes on.",
    ]
    assert why == told["why"]
    assert ["cached", "shared", "1 warning"] == told["marks"]
    assert (0, 2) == (told["nameless"], told["scripts"])
    assert ("<i>mixed</i>", "<i>mixed</i>") == (told["title"], told["head"])


def test_the_head_tells_the_sums(browser: Chromium, mixed: Path) -> None:
    """Pictures, money, pace and time stand in the head in a person's words, and each status with its number."""
    told = drive(
        browser,
        mixed,
        """told.sums = all("#sums div").map((each) => [...each.children].map((part) => part.textContent).join(": "));
        told.statuses = all(".chip").map((each) => each.textContent);
        told.bar = d.getElementById("bar").getAttribute("aria-label");""",
    )
    assert [
        "pictures: 9",
        "spent: $31.5000",
        "maybe billed besides: at most $0.0063",
        "pace: 118.2 a minute",
        "time: 2 min 5 s",
    ] == told["sums"]
    assert ["all 12", "completed 7", "partial 1", "failed 1", "ambiguous 1", "invalid 1", "pending 1"] == told[
        "statuses"
    ]
    assert "7 completed, 1 partial, 1 failed, 1 ambiguous, 1 invalid, 1 pending" == told["bar"]


def test_the_address_holds_the_search(browser: Chromium, many: Path) -> None:
    """Status and words of the hash choose rows and fill the controls; the page counts what is left."""
    told = drive(
        browser,
        many,
        """told.shown = all(".prompt").map((each) => each.textContent);
        told.found = d.getElementById("found").textContent;
        told.asked = d.getElementById("q").value;
        told.pressed = all('.chip[aria-pressed="true"]').map((each) => each.dataset.status);""",
        "#q=fox+10&status=failed",
    )
    assert [f"fox {n}" for n in range(7, 5000, 100) if "10" in str(n)] == told["shown"]
    assert ("fox 10", ["failed"]) == (told["asked"], told["pressed"])
    assert "6 rows of 5,000, 0 pictures" == told["found"]


def test_searching_sorting_and_filtering_by_hand(browser: Chromium, mixed: Path) -> None:
    """What a person types and picks changes the rows and the address; meta and errors are searched, too."""
    told = drive(
        browser,
        mixed,
        """const q = d.getElementById("q"), shown = () => all(".prompt").map((each) => each.textContent);
        const type = (text) => { q.value = text; q.dispatchEvent(new w.Event("input")); };
        type("z-77"); told.meta = shown(); told.hash = w.location.hash;
        type("REFUSED"); told.error = shown();
        type("nothing like it");
        told.none = d.getElementById("none").textContent; told.hidden = d.getElementById("none").hidden;
        type("");
        all(".chip").find((each) => each.dataset.status === "pending").click(); told.pending = shown();
        all(".chip")[0].click();
        const sort = d.getElementById("sort"); sort.value = "attempts"; sort.dispatchEvent(new w.Event("change"));
        told.first = shown()[0]; told.sorted = w.location.hash;
        const model = d.getElementById("model");
        model.value = "gpt-image-1"; model.dispatchEvent(new w.Event("change"));
        told.model = shown();""",
    )
    assert (["two of three"], "#q=z-77") == (told["meta"], told["hash"])
    assert (["a fox that failed"], ["a pending pig"]) == (told["error"], told["pending"])
    assert ("Nothing here fits the search.", False) == (told["none"], told["hidden"])
    assert ("a fox that failed", "#sort=attempts") == (told["first"], told["sorted"])
    assert ["a fox that failed"] == told["model"]


def test_one_picture_at_a_time_by_keyboard(browser: Chromium, mixed: Path) -> None:
    """A card opens large with its whole prompt; arrows go on, through a row's pictures; closing keeps the place."""
    told = drive(
        browser,
        mixed,
        """const box = d.getElementById("box"), side = () => d.querySelector(".full").textContent;
        const source = () => d.querySelector("#stage img").getAttribute("src");
        all(".card button")[3].focus(); d.activeElement.click();
        told.open = box.open; told.whole = side().length; told.hash = w.location.hash; told.source = source();
        key("ArrowLeft", box); told.before = source();
        w.location.hash = "#show=10"; await until(() => source() === "images/t-1.png");
        told.one = source(); key("ArrowRight", box); told.two = source(); told.k = w.location.hash;
        key("ArrowRight", box); told.last = w.location.hash; told.on = d.getElementById("on").disabled;
        key("ArrowLeft", box); told.back = w.location.hash;
        d.getElementById("shut").click();
        told.shut = box.open; told.left = w.location.hash; told.focus = d.activeElement.closest(".card")?.dataset.place;
        key("ArrowLeft"); told.moved = d.activeElement.closest(".card")?.dataset.place;
        key("/"); told.search = d.activeElement.id;""",
    )
    assert (True, 5000, "#show=3", "images/two%20%20words.png") == (
        told["open"],
        told["whole"],
        told["hash"],
        told["source"],
    )
    assert "images/what%3F.png" == told["before"]
    assert ("images/t-1.png", "images/t-2.png", "#show=10&k=2") == (told["one"], told["two"], told["k"])
    assert ("#show=11", True, "#show=10&k=2") == (told["last"], told["on"], told["back"])
    assert (False, "", "10", "9", "q") == (told["shut"], told["left"], told["focus"], told["moved"], told["search"])


def test_escape_closes_as_the_button_does(browser: Chromium, mixed: Path) -> None:
    """The key that a person presses closes the picture; address and keyboard are where they were."""
    with browser.page((mixed / "index.html").as_uri()) as page:
        opened = page.run('all(".card button")[3].click(); told.hash = w.location.hash;')
        page.press("Escape", 27)
        closed = page.run(
            """await until(() => !w.location.hash);
            told.open = d.getElementById("box").open; told.focus = d.activeElement.closest(".card")?.dataset.place;"""
        )
    assert {"hash": "#show=3"} == opened
    assert {"open": False, "focus": "3"} == closed


def test_a_picture_opened_right_after_another_was_closed_stays(browser: Chromium, mixed: Path) -> None:
    """The browser tells late that the first was closed; by then the second is open, and its address stays."""
    told = drive(
        browser,
        mixed,
        """const box = d.getElementById("box"), late = heard("close", box);
        all(".card button")[3].click(); d.getElementById("shut").click(); all(".card button")[1].click();
        await late; told.open = box.open; told.hash = w.location.hash;
        told.source = d.querySelector("#stage img").getAttribute("src");""",
    )
    assert {"open": True, "hash": "#show=1", "source": "images/50%2525.png"} == told


def test_the_keyboard_stays_where_it_was(browser: Chromium, mixed: Path) -> None:
    """Cards that are made anew, for another width or for paper, do not lose the focus that is on one of them."""
    place = 'told.place = d.activeElement.closest(".card")?.dataset.place;'
    with browser.page((mixed / "index.html").as_uri()) as page:
        before = page.run('w.first = all(".card")[0]; all(".card button")[3].focus();' + place)
        page.resize(800, 900)
        narrow = page.run('await until(() => all(".card")[0] && all(".card")[0] !== w.first);' + place)
        paper = page.run('w.dispatchEvent(new Event("beforeprint"));' + place)
        after = page.run('w.dispatchEvent(new Event("afterprint"));' + place)
    assert [{"place": "3"}] * 4 == [before, narrow, paper, after]


def test_five_thousand_scroll_without_a_jump(browser: Chromium, many: Path) -> None:
    """Only cards near the view have nodes; the page is as long everywhere, and each place shows its own rows."""
    told = drive(
        browser,
        many,
        """const page = d.documentElement, cards = () => all(".card").length;
        const inside = () => all(".card").find((each) => {
          const { top, bottom } = each.getBoundingClientRect();
          return top >= 0 && bottom <= 900;
        });
        told.cards = cards(); told.long = page.scrollHeight;
        await scroll(page.scrollHeight / 2);
        const near = inside(), top = near.getBoundingClientRect().top;
        told.middle = Number(near.dataset.place); told.text = near.querySelector(".prompt").textContent;
        told.later = cards(); told.images = d.images.length; told.same = page.scrollHeight;
        const place = near.dataset.place;
        await scroll(w.scrollY + 700);
        told.moved = Math.round(top - d.querySelector(`.card[data-place="${place}"]`).getBoundingClientRect().top);
        await scroll(page.scrollHeight);
        told.end = Number(all(".card").at(-1).dataset.place); told.still = page.scrollHeight;""",
    )
    numbers = {name: value for name, value in told.items() if isinstance(value, int)}
    assert max(numbers["cards"], numbers["later"], numbers["images"]) <= 80
    assert (numbers["long"], numbers["long"]) == (numbers["same"], numbers["still"])
    assert 2300 < numbers["middle"] < 2700
    assert str(numbers["middle"]) == str(told["text"]).split()[1]
    assert (700, 4999) == (numbers["moved"], numbers["end"])


def test_a_vector_picture_is_shown_and_never_opened_by_itself(browser: Chromium, mixed: Path) -> None:
    """A picture of pixels can be opened in a tab of its own; one that could hold a script cannot."""
    told = drive(
        browser,
        mixed,
        """const acts = () => all(".act").map((each) => each.textContent);
        told.pixels = acts(); told.to = d.querySelector("a.act").getAttribute("href");
        w.location.hash = "#show=11"; await until(() => acts().length === 1);
        told.vector = acts();""",
        "#show=1",
    )
    assert (["Copy prompt", "Open file"], "images/50%2525.png") == (told["pixels"], told["to"])
    assert ["Copy prompt"] == told["vector"]


def test_print_shows_all_that_is_chosen(browser: Chromium, many: Path) -> None:
    """On paper stands every row that the search left, not only those near the view."""
    told = drive(
        browser,
        many,
        """told.before = all(".card").length;
        w.dispatchEvent(new w.Event("beforeprint")); told.paper = all(".card").length;
        w.dispatchEvent(new w.Event("afterprint")); told.after = all(".card").length;""",
        "#status=failed",
    )
    assert (25, 50, 25) == (told["before"], told["paper"], told["after"])


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_view(browser: Chromium, mixed: Path, width: int) -> None:
    """On a telephone and on a desk, no part of the page stands out to the side, also with one picture open."""
    told = drive(
        browser,
        mixed,
        """told.page = d.documentElement.scrollWidth - d.documentElement.clientWidth;
        told.columns = new Set(all(".card").map((each) => each.getBoundingClientRect().left)).size;
        const box = d.getElementById("box"); w.location.hash = "#show=3"; await until(() => box.open);
        told.box = box.scrollWidth - box.clientWidth;""",
        width=width,
    )
    assert (0, 0) == (told["page"], told["box"])
    assert {390: 2, 1440: 5}[width] == told["columns"]


def test_a_batch_without_rows_says_so(browser: Chromium, tmp_path: Path) -> None:
    """A page without rows is a page with a word, not an error."""
    told = drive(browser, folder_of(tmp_path, []), 'told.none = d.getElementById("none").textContent;')
    assert "There are no rows." == told["none"]


def test_the_policy_is_in_force_and_the_log_is_heard(browser: Chromium, mixed: Path, tmp_path: Path) -> None:
    """A script and a style that are not the page's own are refused, and the checks above would have noticed."""
    page = (mixed / "index.html").read_text("utf-8")
    foreign = "<script>document.title = 'taken'</script><style>body { color: red }</style></body>"
    (tmp_path / "index.html").write_text(page.replace("</body>", foreign), "utf-8")
    with browser.page((tmp_path / "index.html").as_uri()) as seen:
        refused = seen.until_logged(2)
        told = seen.run("told.title = d.title; told.color = getComputedStyle(d.body).color;")
    assert ["<i>mixed</i>", False] == [told["title"], told["color"] == "rgb(255, 0, 0)"]
    assert 2 <= len([line for line in refused if "Content Security Policy" in line])
