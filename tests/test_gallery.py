"""The gallery as a text: whole, self-contained, and nothing that a row says is ever more than data."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock_io.batch.gallery
from penstock_io.batch.gallery import Card, gallery

HERE = Path(penstock_io.batch.gallery.__file__).parent

TEXTS = st.text(st.characters(), max_size=60) | st.sampled_from(
    [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "]]>",
        "\u2028\u2029",
        "\ud800",
        "&lt;",
        "{{data}}",
        "{{script}}",
        "\0",
    ]
)


class Parts(HTMLParser):
    """The elements of a page, as a browser's tokenizer splits them: tags with attributes, and the text inside."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.found.append((tag, dict(attrs)))
        self.texts.append("")
        self.inside = True

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser calls it so
        """An element ends."""
        self.inside = False

    def handle_data(self, data: str) -> None:
        """Text inside an element."""
        if self.inside:
            self.texts[-1] += data

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and first text of each element of a kind."""
        return [(attrs, text) for (name, attrs), text in zip(self.found, self.texts, strict=True) if name == tag]


def told(page: str) -> dict[str, object]:
    """What the page's block of data says."""
    blocks = [text for attrs, text in Parts(page).all("script") if attrs.get("id") == "data"]
    assert 1 == len(blocks)
    data: dict[str, object] = json.loads(blocks[0])
    return data


def rows(page: str) -> list[dict[str, object]]:
    """The rows that the page's block of data holds."""
    found = told(page)["rows"]
    assert isinstance(found, list)
    return found


@given(prompt=TEXTS, name=TEXTS, error=TEXTS, title=TEXTS, meta=st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_texts_stay_data(prompt: str, name: str, error: str, title: str, meta: dict[str, str]) -> None:
    """Whatever texts a row has, the page has the same elements, can be written, and says exactly these texts."""
    card = Card(name, 0, "failed", (), prompt, error=error, meta=dict(meta), revised_prompt=prompt, warnings=(error,))
    page = gallery([card], {"requested": 1}, title=title)
    page.encode("utf-8")
    plain = gallery([], {}, title="plain")
    assert [tag for tag, _ in Parts(plain).found] == [tag for tag, _ in Parts(page).found]
    row = rows(page)[0]
    said = {"id": name, "prompt": prompt, "error": error, "revised": prompt, "meta": meta}
    assert {key: text for key, text in said.items() if text} == {key: row[key] for key in said if key in row}
    assert [error] == row["warnings"]


def test_a_row_says_all_it_has() -> None:
    """Every field of a card is in the page; what a card leaves open takes no room."""
    card = Card(
        id="a#b",
        index=7,
        status="partial",
        files=("images/a#b-1.png", "images/a#b-2.png"),
        prompt="a fox",
        model="gpt-image-2",
        size="1024x1024",
        quality="low",
        cost_usd="0.0126",
        seconds=1.23456,
        attempts=2,
        cached=True,
        shared=True,
        error="one is missing",
        warnings=("w",),
        revised_prompt="a red fox",
        meta={"sku": 7, "tags": ["x"]},
    )
    full, bare = rows(gallery([card, Card(None, 8, "invalid")], {}, title="t"))
    assert full == {
        "id": "a#b",
        "index": 7,
        "status": "partial",
        "files": ["images/a#b-1.png", "images/a#b-2.png"],
        "prompt": "a fox",
        "model": "gpt-image-2",
        "size": "1024x1024",
        "quality": "low",
        "cost": "0.0126",
        "paid": "$0.0126",
        "seconds": "1.235",
        "attempts": 2,
        "cached": True,
        "shared": True,
        "error": "one is missing",
        "warnings": ["w"],
        "revised": "a red fox",
        "meta": {"sku": 7, "tags": ["x"]},
    }
    assert {"index": 8, "status": "invalid", "attempts": 0} == bare


def test_amounts_are_said_as_in_lines() -> None:
    """Of rows and of sums: to a hundredth of a cent, bounds rounded up, what is unknown at least."""
    (row,) = rows(gallery([Card("a", 0, "completed", cost_usd="1234.00005")], {}, title="t"))
    assert "$1,234.0001" == row["paid"]
    (row,) = rows(gallery([Card("a", 0, "completed", cost_usd="0.000049")], {}, title="t"))
    assert "<$0.0001" == row["paid"]
    sums = {"cost_usd": "1.23454", "maybe_billed_usd": "0.00631", "saved_usd": "0.00631"}
    known = {"spent": "$1.2345", "maybe billed besides": "at most $0.0064", "saved by sharing and stores": "$0.0063"}
    assert known == told(gallery([], sums, title="t"))["amounts"]
    unknown = {"cost_usd": None, "cost_at_least_usd": "1.23459", "maybe_billed_usd": "0.00631", "saved_usd": "0"}
    said = {"spent": "at least $1.2345", "maybe billed besides": "at least $0.0063"}
    assert said == told(gallery([], unknown, title="t"))["amounts"]
    assert {} == told(gallery([], {"saved_usd": "much"}, title="t"))["amounts"]


def test_numbers_that_json_cannot_say_become_words() -> None:
    """An infinite number somewhere in meta or the summary does not cost the page."""
    page = gallery([Card("a", 0, "completed", meta={"x": [float("inf")]})], {"seconds": float("nan")}, title="t")
    assert {"x": ["inf"]} == rows(page)[0]["meta"]
    assert {"seconds": "nan"} == told(page)["summary"]


def test_the_policy_names_the_style_and_the_script_and_nothing_else() -> None:
    """Only this style and this script may work, pictures come from beside the page, and nothing else comes at all."""
    parts = Parts(gallery([], {}, title="t"))
    metas = [attrs for attrs, _ in parts.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy"]
    policy = dict(part.split(" ", 1) for part in (metas[0]["content"] or "").split("; "))
    digests = {
        tag: "'sha256-" + b64encode(sha256(text.encode()).digest()).decode() + "'"
        for tag in ("style", "script")
        for attrs, text in parts.all(tag)
        if "id" not in attrs
    }
    assert policy == {
        "default-src": "'none'",
        "img-src": "'self' file:",
        "style-src": digests["style"],
        "script-src": digests["script"],
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_needs_nothing_from_anywhere() -> None:
    """No address, no request and no markup made of text stands in the template, its style or its script."""
    for kind in ("html", "css", "js"):
        text = (HERE / f"gallery.{kind}").read_text("utf-8")
        assert [] == re.findall(
            r"https?:|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|innerHTML|insertAdjacentHTML|eval\(", text
        )
        assert [] == re.findall(
            r"""\b(?:src|href|srcset)=["']?\S+|\sstyle=|\son[a-z]+=""", text if kind == "html" else ""
        )


def test_five_thousand_rows_are_a_light_page() -> None:
    """A page of 5,000 rows with ordinary prompts stays below 2 MB."""
    prompt = "A lighthouse at dusk, its beam sweeping over slate-grey waves, gouache on rough paper"
    cards = (
        Card(
            f"{n:016x}",
            n,
            "completed",
            (f"images/{n:016x}.png",),
            prompt,
            "gpt-image-2",
            "1024x1024",
            "low",
            "0.0063",
            4.2,
            1,
        )
        for n in range(5000)
    )
    assert len(gallery(cards, {"requested": 5000}, title="t")) < 2_000_000


@pytest.mark.parametrize("place", ["<b>x</b>", "a & b", '"quoted"'])
def test_the_title_is_text(place: str) -> None:
    """A title is shown as it is written."""
    parts = Parts(gallery([], {}, title=place))
    assert [place] == [text for _, text in parts.all("title")]
    assert [place] == [text.strip() for _, text in parts.all("h1")]
