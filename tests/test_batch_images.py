"""Rows with images: paths beside the input, looked at once, read again when they are sent, told when they changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from threading import Thread, current_thread

import pytest
from attrs import evolve
from PIL import Image

from penstock.catalog import Override, Overrides, estimated_image_tokens
from penstock.errors import InvalidRequest
from penstock.requests import ImageRequest, InputImage
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import Target
from penstock_io.batch.inputs import Incoming, Kind, parse_rows, read_rows
from penstock_io.batch.keying import Shapes, key_rows
from penstock_io.batch.loading import Loader
from penstock_io.batch.plan import make_plan
from penstock_io.batch.rows import Defaults, InputError, Invalid, Row, Rows
from penstock_io.batch.settings import Choices
from penstock_io.batch.states import load_states
from penstock_io.batch.stopping import Exit
from penstock_io.batch.stream import run_stream
from penstock_io.costing.asking import quote_rows
from penstock_io.costing.quoting import group
from penstock_io.journal import Account, Journal
from penstock_io.simserver import SimServer, serving
from tests.batching import Folder, folder_for

DEFAULTS = Defaults("gpt-image-1.5", "1024x1024", "low")


def png(path: Path, width: int = 30, height: int = 20, mode: str = "RGB") -> Path:
    """A picture of so many pixels."""
    path.parent.mkdir(exist_ok=True)
    Image.new(mode, (width, height)).save(path, "PNG")
    return path


def given(path: Path, *records: Mapping[str, object]) -> Path:
    """An input file with these rows."""
    file = path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": "red", "id": f"r{n}", **one}) for n, one in enumerate(records)))
    return file


def only(path: Path, record: dict[str, object]) -> Row:
    """The one row of an input."""
    return read_rows(given(path, record), DEFAULTS).rows[0]


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A quick provider."""
    with serving(ServerSettings(latency=Latency(0.02, 0.1))) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """A folder whose batches go to it."""
    return folder_for(tmp_path / "out", sim)


def test_paths_are_beside_the_input(tmp_path: Path) -> None:
    """A row names images relative to its file, one or several, and a mask; a plan holds no bytes."""
    png(tmp_path / "in" / "a.png"), png(tmp_path / "in" / "b.png", 31)
    png(tmp_path / "in" / "m.png", mode="RGBA")
    row = only(tmp_path / "in", {"image": ["a.png", "b.png", "https://x.example/c.png"], "mask": "m.png"})
    assert [30, 31, 0] == [one.width for one in row.request.images]
    assert [b""] * 4 == [one.data for one in row.request.inputs]
    assert row.files == (tmp_path / "in" / "a.png", tmp_path / "in" / "b.png", None, tmp_path / "in" / "m.png")
    whole = asyncio.run(Loader().request(row))
    assert isinstance(whole, ImageRequest)
    assert whole == row.request
    assert [True] * 4 == [one.sendable for one in whole.inputs]


def test_rows_of_a_table_name_images(tmp_path: Path) -> None:
    """A cell is a path, or a list in brackets; numbers of diffusion models are numbers."""
    png(tmp_path / "a.png"), png(tmp_path / "b.png", 31)
    text = 'prompt,image,steps,guidance\nred,a.png,20,7.5\nblue,"[""a.png"", ""b.png""]",,\n'
    rows = parse_rows(text.encode(), "in.csv", DEFAULTS, kind=Kind.CSV, root=tmp_path).rows
    assert [1, 2] == [len(row.request.images) for row in rows]
    assert (20, 7.5) == (rows[0].request.steps, rows[0].request.guidance)


@pytest.mark.parametrize(
    ("record", "field", "words"),
    [
        ({"image": "nowhere.png"}, "image", "nowhere.png: there is no such file"),
        ({"image": "rows.jsonl"}, "image", "PNG, JPEG and WebP are taken"),
        ({"image": "."}, "image", "is a folder"),
        ({"image": "/dev/zero"}, "image", "no file with an end"),
        ({"image": "a\0b.png"}, "image", "cannot be read"),
        ({"image": "\ud800.png"}, "image", "cannot be read|there is no such file"),
        ({"image": "data:image/png;base64,AAAA"}, "image", "save its image to a file"),
        ({"image": {"file_id": "no file"}}, "image", "such as file-abc123"),
        ({"image": {"file_id": 7}}, "image", "and nothing else"),
        ({"image": {"file_id": "file-a", "detail": "low"}}, "image", "and nothing else"),
        ({"image": ["a.png", {"url": "https://x.example/a.png"}]}, "image", "and nothing else"),
        ({"image": []}, "image", "list of 1 to 100"),
        ({"image": ["a.png"] * 101}, "image", "list of 1 to 100"),
        ({"image": 7}, "image", "in quotes"),
        ({"image": ["a.png", ""]}, "image", "in quotes"),
        ({"mask": "a.png"}, "mask", "needs an image"),
        ({"image": "a.png", "mask": "b.png"}, "mask", "31x20"),
        ({"image": "a.png", "mask": ["a.png"]}, "mask", "in quotes"),
        ({"image": "a.png", "mask": "a.png"}, "mask", "without transparency"),
        ({"image": ["a.png"] * 17}, "image", "at most 16"),
        ({"image": "a.png", "input_fidelity": "highest"}, "input_fidelity", "low, high"),
        ({"input_fidelity": "high"}, "input_fidelity", "needs an image"),
        ({"image": "https://"}, "image", "begins with https"),
    ],
)
def test_what_is_wrong_with_an_image_is_said_with_its_line(
    tmp_path: Path, record: dict[str, object], field: str, words: str
) -> None:
    """File, line, field and remedy, before anything is sent."""
    png(tmp_path / "a.png"), png(tmp_path / "b.png", 31)
    file = given(tmp_path, {}, record)
    with pytest.raises(InputError, match=words) as caught:
        key_rows(read_rows(file, DEFAULTS), Choices(), budget=False, states={}, account=Account())
    assert [(2, field)] == [(mistake.line, mistake.field) for mistake in caught.value.mistakes]


def test_a_batch_edits(tmp_path: Path, folder: Folder, sim: SimServer) -> None:
    """Rows with images are bought like others; the provider sees their pixels; the same command again pays nothing."""
    for number in range(3):
        png(tmp_path / f"{number}.png", 30 + number)
    png(tmp_path / "m.png", mode="RGBA")
    records: list[dict[str, object]] = [{"image": f"{number}.png"} for number in range(3)]
    file = given(tmp_path, *records, {"image": "0.png", "mask": "m.png"}, {"prompt": "of words alone"})
    rows = read_rows(file, DEFAULTS)
    assert Exit.ALL == folder.run(rows).code
    assert ["completed"] * 5 == folder.statuses()
    told = [json.loads(line) for line in (folder.path / "results.jsonl").read_text("utf-8").splitlines()]
    tokens = [line["usage"]["input_image"] for line in told]
    assert [estimated_image_tokens("gpt-image-1.5", 30 + n, 20, "low") for n in (0, 1, 2, 0)] + [0] == tokens
    paid = sim.call(lambda server: server.books.pictures)
    assert (Exit.ALL, 5) == (folder.run(read_rows(file, DEFAULTS)).code, paid)
    assert paid == sim.call(lambda server: server.books.pictures)


def test_rows_name_files_that_the_provider_has(tmp_path: Path, folder: Folder, sim: SimServer) -> None:
    """By their id, beside paths and as a mask; the same id is the same picture, and nothing is read or hidden."""
    png(tmp_path / "a.png")
    far: dict[str, object] = {"file_id": "file-a"}
    file = given(tmp_path, {"image": far}, {"image": [far, "a.png"], "mask": {"file_id": "file-m"}}, {"image": [far]})
    rows = read_rows(file, DEFAULTS)
    assert InputImage.file("file-a") == rows.rows[0].request.images[0]
    keyed = key_rows(rows, Choices(), budget=False, states={}, account=Account())[0]
    assert "2 images are uploaded files (file_id)" in keyed[1].warnings[0]
    assert Exit.ALL == folder.run(rows).code
    assert ["completed"] * 3 == folder.statuses()
    assert 2 == sim.call(lambda server: server.books.pictures)


def test_the_same_bytes_under_two_names_are_one_picture(tmp_path: Path, folder: Folder, sim: SimServer) -> None:
    """What counts is what is in a file: two rows that name copies share one picture."""
    png(tmp_path / "a.png"), png(tmp_path / "copy.png")
    folder.run(read_rows(given(tmp_path, {"image": "a.png"}, {"image": "copy.png"}), DEFAULTS))
    assert ["completed"] * 2 == folder.statuses()
    assert 1 == sim.call(lambda server: server.books.pictures)


def test_a_file_that_changed_in_between_is_noticed(tmp_path: Path, folder: Folder, sim: SimServer) -> None:
    """The row fails alone and says so, nothing is paid for it; the next run takes the file as it is then."""
    png(tmp_path / "a.png"), png(tmp_path / "b.png", 31), png(tmp_path / "c.png", 32)
    file = given(tmp_path, {"image": "a.png"}, {"image": "b.png"}, {"image": "c.png"})
    rows = read_rows(file, DEFAULTS)
    png(tmp_path / "b.png", 99)
    (tmp_path / "c.png").unlink()
    assert Exit.SOME == folder.run(rows).code
    assert ["completed", "failed", "failed"] == folder.statuses()
    said = [line["error"]["message"] for line in folder.lines()[1:] if line["error"]]
    assert "b.png: has changed since the rows were read: the same command again takes it as it is then" in said[0]
    assert "c.png: there is no such file" in said[1]
    png(tmp_path / "c.png", 33)
    assert Exit.ALL == folder.run(read_rows(file, DEFAULTS)).code
    assert 3 == sim.call(lambda server: server.books.pictures)


def test_another_image_under_the_same_name_makes_a_row_stale(tmp_path: Path, folder: Folder) -> None:
    """A rerun says what changed: the picture would be made again."""
    file = given(tmp_path, {"image": png(tmp_path / "a.png").name})
    folder.run(read_rows(file, DEFAULTS))
    png(tmp_path / "a.png", 31)
    with Journal.open(folder.path) as journal:
        states, account = load_states(journal.rows()), journal.account()
    keyed, _ = key_rows(read_rows(file, DEFAULTS), Choices(), budget=False, states=states, account=account)
    assert ["image changed"] == [one.why for one in make_plan(keyed, states, account, Choices()).stale]


def test_rows_that_come_one_by_one_name_images(tmp_path: Path, folder: Folder, sim: SimServer) -> None:
    """From standard input paths are relative to where the process is; a bad one fails alone."""
    path = str(png(tmp_path / "a.png"))
    lines = [json.dumps({"prompt": "red", "image": one}).encode() for one in (path, "nowhere.png")]
    ended = folder.stream(iter(lines), defaults=DEFAULTS)
    assert Exit.SOME == ended.code
    assert ["completed", "invalid"] == folder.statuses()
    assert 1 == sim.call(lambda server: server.books.pictures)


class Watching(Incoming):
    """Rows as they come, which remember who took them."""

    def __init__(self) -> None:
        super().__init__("-", DEFAULTS)
        self.takers: list[Thread] = []

    def take(self, line: bytes) -> Row | Invalid | None:
        """As above."""
        self.takers.append(current_thread())
        return super().take(line)


def test_files_that_come_are_looked_at_off_the_loop(tmp_path: Path, folder: Folder) -> None:
    """A line that names a file is taken in another thread; one of words alone is not worth one."""
    incoming = Watching()
    records: list[dict[str, object]] = [{"prompt": "a"}, {"prompt": "b", "image": str(png(tmp_path / "a.png"))}]
    lines = iter([json.dumps(one).encode() for one in records])
    with Journal.open(folder.path) as journal:
        assert Exit.ALL == run_stream(folder.settings, lines, incoming, journal, folder.listener).code
    assert [True, False] == [taker is current_thread() for taker in incoming.takers]


def test_no_bytes_are_held_for_rows_that_wait(tmp_path: Path) -> None:
    """However many rows there are, a plan holds no image; rows that are out at once share the one that they name."""
    png(tmp_path / "a.png")
    rows = read_rows(given(tmp_path, *[{"image": "a.png", "prompt": f"{n}"} for n in range(50)]), DEFAULTS).rows
    assert {b""} == {one.data for row in rows for one in row.request.images}
    loader = Loader()

    async def both() -> list[ImageRequest | InvalidRequest]:
        return [await loader.request(row) for row in rows[:2]]

    first, second = asyncio.run(both())
    assert isinstance(first, ImageRequest)
    assert isinstance(second, ImageRequest)
    assert first.images[0] is second.images[0]
    assert {b""} == {one.data for row in rows for one in row.request.images}


def test_an_edit_is_quoted(tmp_path: Path) -> None:
    """`penstock quote` counts what goes in, at its dearest; unknown stays unknown."""
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(_noise(number))
    records: list[dict[str, object]] = [{"image": f"{number}.png"} for number in range(3)]

    def amount(rows: Rows, prices: Overrides | None = None) -> tuple[int | None, int]:
        choices = Choices() if prices is None else Choices(prices=prices)
        quoted = quote_rows(rows, choices, {}, Account(), unix=1_795_300_000.0)
        return quoted.amount.most, len(quoted.missing)

    file = given(tmp_path, *records)
    plain, _ = amount(read_rows(given(tmp_path, {}), DEFAULTS))
    edits, _ = amount(read_rows(given(tmp_path, *records), DEFAULTS))
    assert plain is not None
    assert edits == 3 * (plain + (65 + 129 * 1 + 4160) * 8_000_000)
    newer = read_rows(file, evolve(DEFAULTS, model="gpt-image-2"))
    assert (None, 1) == amount(newer)
    assert amount(newer, Overrides((Override("gpt-image-2", input_tokens=1600),)))[0] is not None


def test_requests_cost_the_same_by_what_the_heads_of_their_images_say() -> None:
    """Other bytes of as many pixels cost the same, other pixels do not, be the files as long."""
    square, wide = InputImage.of(_noise(1)), evolve(InputImage.of(_noise(2)), width=640)
    requests = [
        ImageRequest(prompt="red", model="gpt-image-1.5", images=(evolve(image, nbytes=999),))
        for image in (square, InputImage.of(_noise(3)), wide)
    ]
    assert [2, 1] == [one.pictures for one in group((request, 1) for request in requests)]
    shapes = Shapes()
    targets = [shapes.target(request) for request in requests]
    quotes = [target.quote for target in targets if isinstance(target, Target)]
    assert (3, 2) == (len(quotes), len(set(quotes)))


def _noise(number: int) -> bytes:
    """A square of its own."""
    out = BytesIO()
    Image.new("RGB", (64, 64), (number, 0, 0)).save(out, "PNG")
    return out.getvalue()


def test_incoming_looks_below_where_the_process_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path on standard input is one of the process."""
    png(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    row = Incoming("-", DEFAULTS).take(b'{"prompt": "red", "image": "a.png"}')
    assert isinstance(row, Row)
    assert 30 == row.request.images[0].width
