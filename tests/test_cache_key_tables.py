"""Golden keys, in every Python there is, and keys beside a plain reference: what matters, and nothing else, counts."""

from __future__ import annotations

import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import attr
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.keys import ratio
from penstock.cache import Input, keys, places
from penstock.cache.policy import JITTER, lifetime, shorter
from penstock.errors import InvalidRequest, UsageError
from penstock.ids import Key
from penstock.requests import ImageRequest, Scalar
from tests.cache_keys import TABLE, lines, made

ROOT = Path(__file__).parent.parent
DIGESTS = ("0" * 63 + "1", "f" * 64)


def pythons() -> list[Path]:
    """Other interpreters of the versions that are supported, as far as this machine has them."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: list[Path] = []
    for version in ("3.11", "3.12", "3.13"):
        pinned = sorted(home.glob(f"{version}.*/bin/python{version}"))
        there = shutil.which(f"python{version}")
        found += pinned[:1] or ([Path(there)] if there else [])
    return found


@pytest.mark.parametrize("line", lines(), ids=lambda line: line["what"])
def test_golden_keys_stand(line: dict[str, Any]) -> None:
    """A key that changes makes every stored picture unknown: that takes a new schema version, on purpose."""
    assert line["keys"] == made(line)


def test_the_table_tells_what_differs_from_what_does_not() -> None:
    """Lines that say the same in other words have the same keys; all others have keys of their own."""
    by_what = {line["what"]: tuple(line["keys"]) for line in lines()}
    assert by_what["strange"] == by_what.pop("the same in another order, said as floats")
    assert by_what["plain"] == by_what.pop("defaults said aloud")
    assert by_what["whole numbers as floats"] == by_what.pop("the same as integers")
    assert len(by_what) == len(set(by_what.values()))


@pytest.mark.parametrize("seed", ["0", "4711"])
@pytest.mark.parametrize("python", pythons(), ids=lambda path: path.name)
def test_every_python_makes_the_same_keys(python: Path, seed: str) -> None:
    """Whatever its version and the seed of its hashes."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), str(Path(attr.__file__).parent.parent)])
    env = {"PYTHONPATH": path, "PYTHONHASHSEED": seed, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [python, "-S", "-B", "-m", "tests.cache_keys", TABLE],
        env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if "pyenv:" in done.stderr:
        pytest.skip("a name without a Python behind it")
    assert "" == done.stderr
    assert [" ".join(line["keys"]) for line in lines()] == done.stdout.splitlines()


# Beside a reference

scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 1.0, -0.0, 0.5, 1e16, 10**16, "", "1", "true", "null"]),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
)
texts = st.text('a"\\,:{}[]\n\u00e4\u0301\U0001f408', min_size=1, max_size=4).filter(lambda text: bool(text.strip()))
words = st.sampled_from([None, "auto", "low", "high", "png", "1024x1024"])
requests = st.builds(
    ImageRequest,
    prompt=texts,
    model=st.just("flux"),
    size=words,
    quality=words,
    background=words,
    moderation=words,
    output_format=words,
    output_compression=st.sampled_from([None, 0, 100]),
    complexity=words,
    seed=st.sampled_from([None, 0, 1]),
    user=words,
    n=st.integers(1, 3),
    extra=st.dictionaries(texts, scalars, max_size=2).map(lambda pairs: tuple(pairs.items())),
)
ofs = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(["default", "p"]),
        "dialect": st.sampled_from(["openai", "local"]),
        "model": st.sampled_from(["flux", "gpt-image-2"]),
        "tenant": st.sampled_from(["", "acme", "a", "\u00e4"]),
        "first": st.integers(0, 2),
        "server": st.sampled_from(["", "localhost", "https://a/v1"]),
        "operation": st.sampled_from(["images.generate", "images.edit"]),
        "inputs": st.lists(st.builds(Input, st.sampled_from(["image", "mask"]), st.sampled_from(DIGESTS)), max_size=2),
    }
)
DEFAULTS: dict[str, Scalar] = {
    "size": "auto", "quality": "auto", "background": "auto", "moderation": "auto", "output_format": "png",
    "output_compression": 100,
}  # fmt: skip


def plain(value: Scalar) -> object:
    """A value of JSON as what it means: numbers are numbers however they are written, true is none."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    return ("number", Fraction(value))


def meaning(request: ImageRequest, of: dict[str, Any]) -> object:
    """What a key stands for, as plain values that can be compared."""
    fields: dict[str, object] = {}
    for name in (*DEFAULTS, "complexity", "seed"):
        value = getattr(request, name)
        known = of["model"] == "gpt-image-2"
        fields[name] = plain(DEFAULTS.get(name) if value is None and known else value)
    extra = {name: plain(value) for name, value in request.extra}
    inputs = [(one.role, one.digest) for one in of["inputs"]]
    return (request.prompt, fields, extra, inputs, {name: of[name] for name in of if name != "inputs"})


def key(request: ImageRequest, of: dict[str, Any]) -> Key:
    """One key."""
    return keys(request, samples=1, **of)[0]


@given(requests, requests, ofs, ofs)
def test_keys_say_what_the_reference_says(
    first: ImageRequest, second: ImageRequest, mine: dict[str, Any], yours: dict[str, Any]
) -> None:
    """Two keys are the same just where a plain comparison finds the same."""
    assert (meaning(first, mine) == meaning(second, yours)) == (key(first, mine) == key(second, yours))


@given(requests, ofs, st.data())
def test_one_change_more_or_less(request_: ImageRequest, of: dict[str, Any], data: st.DataObject) -> None:
    """Of two that differ in at most one thing the keys are the same just where the reference says so."""
    name = data.draw(st.sampled_from([*of, "prompt", "size", "quality", "output_compression", "seed", "extra", "user"]))
    other, changed = request_, dict(of)
    if name in of:
        changed[name] = data.draw(ofs)[name]
    else:
        other = evolve(request_, **{name: getattr(data.draw(requests), name)})
    assert (meaning(request_, of) == meaning(other, changed)) == (key(request_, of) == key(other, changed))
    if name == "user":
        assert key(request_, of) == key(other, changed)


@given(requests, ofs, st.randoms(use_true_random=False))
def test_order_says_nothing(request_: ImageRequest, of: dict[str, Any], chance: Any) -> None:
    """Neither the order of names nor how many pictures are asked for changes a key."""
    extra = list(request_.extra)
    chance.shuffle(extra)
    assert key(request_, of) == key(evolve(request_, extra=tuple(extra), n=4), of)


def test_a_number_that_no_server_reads_is_refused() -> None:
    """Of thousands of digits not even Python makes a text."""
    with pytest.raises(InvalidRequest, match="at most 300 digits"):
        ImageRequest(prompt="x", model="flux", extra=(("a", 10**5000),))
    assert ImageRequest(prompt="x", model="flux", extra=(("a", -(10**300)),)).extra


@pytest.mark.parametrize("digest", ["", "photo.png", "F" * 64, "0" * 63])
def test_an_input_is_told_by_its_bytes(digest: str) -> None:
    """A name, a path or an empty text says nothing of what is in a file."""
    with pytest.raises(UsageError, match="SHA-256"):
        Input("image", digest)


# Where


@pytest.mark.parametrize(
    ("url", "known", "unknown"),
    [
        ("", "", ""),
        ("https://api.openai.com/v1", "", "https://api.openai.com/v1"),
        ("HTTPS://API.OpenAI.com:443/v1/", "", "https://api.openai.com/v1"),
        ("https://gateway.example:8443/v1", "", "https://gateway.example:8443/v1"),
        ("http://sd.example./x", "", "http://sd.example/x"),
        ("http://localhost:8000/v1", "localhost", "http://localhost:8000/v1"),
        ("http://127.0.0.1:1234", "localhost", "http://127.0.0.1:1234"),
        ("http://127.9.9.9/v1", "localhost", "http://127.9.9.9/v1"),
        ("http://[::1]:80/v1", "localhost", "http://[::1]/v1"),
        ("http://sim.localhost/v1", "localhost", "http://sim.localhost/v1"),
        ("http://127.example/v1", "", "http://127.example/v1"),
    ],
)
def test_what_a_key_says_of_the_server(url: str, known: str, unknown: str) -> None:
    """A model of the catalog is itself wherever it is reached; any other is its server's; this machine stands apart."""
    assert (known, unknown) == (places.server(url, "gpt-image-2"), places.server(url, "sdxl"))


# How long


@given(st.floats(0.01, 1e9), st.text(max_size=8).map(Key), st.floats(0.0, 1e9))
def test_a_time_to_live_is_shortened_by_a_tenth_at_most(ttl: float, name: Key, age: float) -> None:
    """The same for the same key, never more than was asked for, and what is old lives what is left."""
    found = lifetime(ttl, name)
    assert found is not None
    assert max(0.001, ttl * (1 - JITTER)) <= found <= max(0.001, ttl)
    assert (found, None) == (lifetime(ttl, name), lifetime(None, name, age))
    assert lifetime(ttl, name, age) == pytest.approx(max(0.001, found - age), abs=1e-3)


def test_times_to_live_are_spread() -> None:
    """What was made together does not expire together."""
    found = sorted(lifetime(100.0, Key(f"{number:064x}")) or 0.0 for number in range(1000))
    assert found[0] < 90.5
    assert found[-1] > 99.5
    assert 94.0 < found[500] < 96.0


def test_the_shorter_time_counts() -> None:
    """Of two, one of which may be for ever."""
    assert (None, 1.0, 1.0, 1.0) == (shorter(None, None), shorter(1.0, None), shorter(None, 1.0), shorter(2.0, 1.0))


def test_the_benchmark_measures() -> None:
    """It says how many times the cost of a plain dump and digest a key has; what comes out is the machine's affair."""
    assert ratio(rounds=1, repeats=2) > 0.0
