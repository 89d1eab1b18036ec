"""What the other server decides: keys, limits, faults, habits, and the true bill.

It shares no line and no figure with the simulated provider: prices and tokens are copied from the published tables by
hand. Tests talk to it through plain attributes and methods while it serves.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode, encodebytes
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time
from urllib.parse import quote

from tests.acceptance.limits import Rate, Turnstile, Window
from tests.acceptance.pictures import picture

TOKENS = {
    "gpt-image-2": {"low": 196, "medium": 1756, "high": 7024},
    "gpt-image-2.5-flare": {"low": 196, "medium": 439, "high": 1756},
    "gpt-image-2.5-sunburst": {"low": 196, "medium": 439, "high": 1756},
}
"""Output tokens of a picture of 1024x1024, from the published table."""

TEXT, PICTURE = 5_000_000, 30_000_000
"""Picodollars a token: $5 and $30 a million."""

FIELDS = frozenset(
    "model prompt n size quality background moderation output_format output_compression user stream".split()
)

MODERATED = "contraband"
"""A prompt with this word is refused."""


@dataclass(frozen=True)
class Habits:
    """How this server is different. `told`: "headers", "retry-after", "ms", "message" or "bare"."""

    latency: float = 0.0
    requests: Rate | Window | None = None
    images: Rate | Window | None = None
    told: str = "message"
    chunked: bool = False
    zipped: bool = False
    shouting: bool = False
    lines: bool = False
    prefix: bool = False
    garbles: bool = False
    excuses: bool = False
    linked: bool = False
    revises: bool = False
    usage: bool = True
    form: str | None = None
    closes: bool = False


@dataclass(frozen=True)
class Fault:
    """What happens to a prompt with a certain word, the first `times` times that the prompt is asked for."""

    kind: str
    times: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Item:
    """A line of the bill: what was executed."""

    key: str
    prompt: str
    n: int
    picodollars: int
    body: dict[str, object]


@dataclass(frozen=True)
class Answer:
    """A reply before it is written. `kind` says how it is cut ("", "middle", "start")."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: str = ""


class Witness:
    """The state: keys, limits, faults, the bill. Every method may be called while requests are served."""

    def __init__(self, *keys: str, habits: Habits | None = None, faults: dict[str, Fault] | None = None) -> None:
        self.habits = habits or Habits()
        self.keys = set(keys)
        self.models = set(TOKENS)
        self.credit: dict[str, int] = {}
        self.items: list[Item] = []
        self.delivered: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.headers: list[dict[str, str]] = []
        self.leaks: list[str] = []
        self.asked: list[str] = []
        self.trouble: list[BaseException] = []
        self.most = 0
        self.base_url = ""
        self.closing = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.answering = threading.Event()
        self.answering.set()
        self.hides = False
        self._faults = faults or {}
        self._faulted: Counter[tuple[str, str]] = Counter()
        self._after: list[tuple[int, Callable[[], object]]] = []
        self._turnstiles: dict[str, tuple[Turnstile, Turnstile]] = {}
        self._files: dict[str, bytes] = {}
        self._out = 0
        self._lock = threading.RLock()

    @property
    def bill(self) -> int:
        """What was executed, in picodollars."""
        with self._lock:
            return sum(item.picodollars for item in self.items)

    @property
    def executed(self) -> Counter[str]:
        """How many pictures of each prompt were executed."""
        with self._lock:
            count = Counter[str]()
            for item in self.items:
                count[item.prompt] += item.n
            return count

    def add(self, key: str) -> None:
        """Accept a key from now on."""
        with self._lock:
            self.keys.add(key)

    def revoke(self, key: str) -> None:
        """Refuse a key from now on."""
        with self._lock:
            self.keys.discard(key)

    def after(self, executed: int, do: Callable[[], object]) -> None:
        """Do something once so many requests were executed."""
        with self._lock:
            self._after.append((executed, do))

    def file(self, name: str) -> bytes | None:
        """The picture that a URL names, once the gate is open; none while they are hidden."""
        self.asked.append(name)
        self.gate.wait()
        with self._lock:
            return None if self.hides else self._files.get(name)

    def generate(self, key: str, raw: bytes) -> Answer:
        """Answer a POST to /v1/images/generations."""
        with self._lock:
            self._out += 1
            self.most = max(self.most, self._out)
        try:
            answer = self._decide(key, raw)
        finally:
            with self._lock:
                self._out -= 1
        with self._lock:
            self.statuses[answer.status] += 1
        return Answer(answer.status, answer.body, answer.headers | self._standing(key), answer.cut)

    def _decide(self, key: str, raw: bytes) -> Answer:
        if key not in self.keys:
            shown = f"{key[:3]}***{key[-3:]}" if key else "''"
            told = f"Incorrect API key provided: {shown}. You can find your API key in your account."
            return refusal(401, told, "invalid_api_key")
        try:
            body: dict[str, object] = json.loads(raw)
        except ValueError:
            return refusal(400, "We could not parse the JSON body of your request.")
        wrong = self._wrong(body)
        if wrong is not None:
            return wrong
        prompt, n = str(body["prompt"]), int(str(body.get("n") or 1))
        fault = self._fault(prompt)
        early = self._before(fault, prompt, str(body["model"]))
        if early is not None:
            return early
        full = self._full(key, n, str(body["model"]))
        if full is not None:
            return full
        cost = self._cost(body, prompt, n)
        if not self._pay(key, cost):
            return no_credit()
        self._execute(Item(key, prompt, n, cost, body))
        self.answering.wait()
        self.closing.wait(self.habits.latency + (fault.seconds if fault else 0.0))
        answer = self._picture_reply(body, prompt, n)
        match fault.kind if fault else "":
            case "cut after":
                return Answer(200, answer.body, answer.headers, cut="middle")
            case "truncated":
                return Answer(200, answer.body[: len(answer.body) // 2], answer.headers)
            case _:
                with self._lock:
                    self.delivered[prompt] += 1
                return answer

    def _wrong(self, body: dict[str, object]) -> Answer | None:
        unknown = sorted(set(body) - FIELDS)
        if unknown:
            return refusal(400, f"Unknown parameter: '{unknown[0]}'.", "unknown_parameter", unknown[0])
        if not isinstance(body.get("prompt"), str) or not body["prompt"]:
            return refusal(400, "You must provide a prompt.", None, "prompt")
        model = body.get("model")
        if model not in self.models:
            told = f"The model `{model}` does not exist or you do not have access to it."
            return refusal(404, told, "model_not_found", "model")
        if MODERATED in str(body["prompt"]):
            return refusal(400, "Your request was rejected by the safety system.", "moderation_blocked")
        return None

    def _fault(self, prompt: str) -> Fault | None:
        with self._lock:
            for word, fault in self._faults.items():
                if word in prompt and self._faulted[word, prompt] < fault.times:
                    self._faulted[word, prompt] += 1
                    return fault
        return None

    def _before(self, fault: Fault | None, prompt: str, model: str) -> Answer | None:
        """What a fault does instead of executing."""
        match fault.kind if fault else "":
            case "500":
                return refusal(500, f"The server had an error while painting {prompt}.", "server_error")
            case "503":
                return refusal(503, "Overloaded.", "server_is_overloaded", headers={"Retry-After": "1"})
            case "503 html":
                return Answer(503, b"<html><body><h1>503 Service Unavailable</h1></body></html>", HTML)
            case "502 html":
                return Answer(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", HTML)
            case "429 html":
                return Answer(429, b"<html><body><h1>Slow down</h1></body></html>", HTML | {"Retry-After": "1"})
            case "cut before":
                return Answer(200, b"", cut="start")
            case "error in 200":
                error = {
                    "message": "The picture got lost.",
                    "type": "server_error",
                    "param": None,
                    "code": "server_error",
                }
                return Answer(200, json.dumps({"error": error}).encode(), JSON)
            case "no model":
                return refusal(404, f"The model `{model}` does not exist.", "model_not_found", "model")
            case "no credit":
                return no_credit()
            case _:
                return None

    def _full(self, key: str, n: int, model: str) -> Answer | None:
        """Ask both turnstiles of the key; None: it may go."""
        habits, now = self.habits, monotonic()
        with self._lock:
            if key not in self._turnstiles:
                self._turnstiles[key] = (Turnstile(habits.requests), Turnstile(habits.images))
            requests, images = self._turnstiles[key]
            waits = (requests.wait(now, 1), images.wait(now, n))
            if max(waits) <= 0:
                requests.take(now, 1)
                images.take(now, n)
                return None
        wait = max(waits)
        name = "requests per min" if waits[0] == wait else "input-images per min"
        told = f"Rate limit reached for {model} in organization org-witness on {name}."
        headers: dict[str, str] = {}
        match habits.told:
            case "headers" | "retry-after":
                headers["Retry-After"] = str(int(wait) + 1)
            case "ms":
                headers["retry-after-ms"] = str(int(wait * 1000) + 1)
            case "message":
                told += f" Please try again in {int(wait * 1000) + 1}ms."
            case _:
                told = "Too many requests."
        return refusal(429, told, "rate_limit_exceeded", kind="requests", headers=headers)

    def _standing(self, key: str) -> dict[str, str]:
        """The rate limit headers of a key, where this server sends any."""
        if self.habits.told != "headers" or key not in self._turnstiles:
            return {}
        with self._lock:
            now = monotonic()
            found: dict[str, str] = {}
            for name, turnstile in zip(("requests", "images"), self._turnstiles[key], strict=True):
                for part, text in turnstile.headers(now).items():
                    found[f"x-ratelimit-{part}-{name}"] = text
            return found

    def _cost(self, body: dict[str, object], prompt: str, n: int) -> int:
        tokens = TOKENS[str(body["model"])][quality_of(body)]
        return words(prompt) * TEXT + n * tokens * PICTURE

    def _pay(self, key: str, cost: int) -> bool:
        with self._lock:
            if key not in self.credit:
                return True
            if self.credit[key] < cost:
                return False
            self.credit[key] -= cost
            return True

    def _execute(self, item: Item) -> None:
        with self._lock:
            self.items.append(item)
            due = [do for count, do in self._after if count <= len(self.items)]
            self._after = [(count, do) for count, do in self._after if count > len(self.items)]
        for do in due:
            do()

    def _picture_reply(self, body: dict[str, object], prompt: str, n: int) -> Answer:
        habits = self.habits
        form = habits.form or str(body.get("output_format") or "png")
        size = "1024x1024" if body.get("size") in {None, "auto"} else str(body["size"])
        data = [self._datum(picture(form, size, prompt, sample), form) for sample in range(n)]
        if habits.revises:
            data = [{"revised_prompt": f"{prompt}, in oil"} | datum for datum in data]
        reply: dict[str, object] = {"background": "opaque", "x_painter": {"name": "another"}, "data": data}
        reply |= {"created": int(time()), "size": size, "quality": quality_of(body), "output_format": form}
        if habits.usage:
            text, pictures = words(prompt), n * TOKENS[str(body["model"])][quality_of(body)]
            reply["usage"] = {
                "total_tokens": text + pictures,
                "output_tokens": pictures,
                "input_tokens": text,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": text},
            }
        return Answer(200, json.dumps(reply, indent=1 if habits.shouting else None).encode(), JSON)

    def _datum(self, data: bytes, form: str) -> dict[str, object]:
        habits = self.habits
        if habits.linked:
            with self._lock:
                name = f"{len(self._files)} {form}"
                self._files[name] = data
            return {"url": f"{self.base_url.removesuffix('/v1')}/files/{quote(name)}?sig=s3cr3t-signature"}
        text = encodebytes(data).decode() if habits.lines else b64encode(data).decode()
        if habits.garbles:
            text = f"{text[:8]}*{text[8:]}"
        if habits.excuses:
            text = b64encode(b'{"error": "no worker took it"}').decode()
        return {"b64_json": f"data:image/{form};base64,{text}" if habits.prefix else text, "url": None}


JSON = {"Content-Type": "application/json; charset=utf-8"}
HTML = {"Content-Type": "text/html"}


def refusal(
    status: int,
    message: str,
    code: str | None = None,
    param: str | None = None,
    *,
    kind: str = "invalid_request_error",
    headers: dict[str, str] | None = None,
) -> Answer:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Answer(status, json.dumps({"error": error}).encode(), JSON | (headers or {}))


def no_credit() -> Answer:
    """The account is empty."""
    told = "You exceeded your current quota, please check your plan and billing details."
    return refusal(429, told, "insufficient_quota", kind="insufficient_quota")


def quality_of(body: dict[str, object]) -> str:
    """What it is painted in; what nobody asked for is medium."""
    asked = str(body.get("quality") or "auto")
    return "medium" if asked == "auto" else asked


def words(prompt: str) -> int:
    """Tokens of a prompt, roughly."""
    return len(prompt) // 4 + 1
