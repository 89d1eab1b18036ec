"""One neutral request, told as a dialect tells it: by the table of its way, and nothing is left out silently."""

from __future__ import annotations

from attrs import evolve, frozen

from penstock.catalog import Model, answers_with_urls, model
from penstock.requests import EDIT, NEUTRAL, PARAMETERS, ImageRequest, Refusal, Scalar, Unsaid
from penstock.wire.dialects import Behind, Dialect, Rule, Spoken, Way, speakers
from penstock.wire.meaning import meant

FIELDS = (*PARAMETERS, *NEUTRAL)
"""What a table has a line for, in the order in which it is sent."""

AUTO = "auto"
"""What leaves a field to the server: to say nothing says the same."""

FORMAT = "response_format"
AVOIDED = "negative_prompt"
SHOWN = 40
QUOTES = "'\""


@frozen
class Saying:
    """A request as it will be told.

    `parameters` are what is sent, `warnings` what was changed or left out, `prompt` what is said instead of the
    request's own ("": that), `unsaid` the fields that were given and are not sent. `keyed` is what keys are made of:
    the request that says what is said (`penstock.wire.meaning`). `most` bounds the pictures of one call.
    """

    keyed: ImageRequest
    most: int = 10
    parameters: tuple[tuple[str, Scalar], ...] = ()
    warnings: tuple[str, ...] = ()
    prompt: str = ""
    unsaid: tuple[str, ...] = ()


def say(request: ImageRequest, dialect: Dialect, known: Model | None, unsaid: Unsaid) -> Saying | Refusal:
    """How `request` is told in `dialect` to a model (`known` where the catalog has it); or what cannot be told.

    `unsaid` says what is done with a field that the dialect has no words for: dropped with a warning, emulated with a
    warning (else dropped), or refused.
    """
    way = dialect.ways.get(request.operation)
    if way is None:
        field = "images" if request.images else "model"
        said = f"{dialect.name} has no words for {request.operation}, as {speakers(request.operation)} have"
        return Refusal(field, f"{field}: {said}")
    if not way.urls and any(one.url for one in request.inputs):
        return Refusal("images", f"images: {dialect.name} takes no addresses of images: give their bytes")
    if not way.files and any(one.file_id for one in request.inputs):
        others = speakers(EDIT, files=True)
        said = f"{dialect.name} has no words for uploaded files (file_id), as {others} have: give the bytes"
        return Refusal("images", f"images: {said}")
    if not way.masks and request.mask is not None:
        others = speakers(EDIT, mask=True)
        return Refusal("mask", f"mask: {dialect.name} has no words for a mask, as {others} have: leave it out")
    if way.objects is not None and (refusal := way.objects(request)) is not None:
        return refusal
    return _Teller(request, dialect.name, way, known, unsaid).told()


def plainly(request: ImageRequest, spoken: Dialect, unsaid: Unsaid) -> ImageRequest:
    """The request that says what is said of this one in a dialect: what its keys are made of."""
    told = say(request, spoken, model(request.model), unsaid)
    return request if isinstance(told, Refusal) else told.keyed


class _Teller:
    """Tells one request, field by field."""

    def __init__(self, request: ImageRequest, dialect: str, way: Way, known: Model | None, unsaid: Unsaid) -> None:
        self._request, self._dialect, self._way = request, dialect, way
        self._known, self._unsaid = known, unsaid
        self._pairs: list[tuple[str, Scalar]] = []
        self._warnings: list[str] = []
        self._left: list[str] = []
        self._behind = ""

    def told(self) -> Saying | Refusal:
        """All of it, or the first field that is refused."""
        request = self._request
        for name in FIELDS:
            value = self._value(name)
            if value is None:
                continue
            refusal = self._field(name, value)
            if refusal is not None:
                return refusal
        if (refusal := self._parted()) is not None:
            return refusal
        parameters, left = (*self._pairs, *self._chosen(), *request.extra), tuple(self._left)
        prompt = request.prompt + self._behind if self._behind else ""
        always = self._known.always if self._known is not None else ()
        keyed = meant(request, self._way.says, dict(parameters), prompt, always=always, unsaid=left)
        return Saying(keyed, self._way.most, parameters, tuple(self._warnings), prompt, left)

    def _parted(self) -> Refusal | None:
        """What becomes of a sign in the user's own words at which the dialect parts a prompt from a negative one."""
        rule = self._way.says.get(AVOIDED)
        if not isinstance(rule, Behind):
            return None
        sign, prompt, avoided = rule.joint, self._request.prompt, self._request.negative_prompt
        if sign in prompt:
            why = f'prompt: {self._dialect} takes what follows "{sign}" for a negative prompt, up to a second "{sign}"'
        elif avoided is not None and sign in avoided:
            why = f'{AVOIDED}: {self._dialect} hears none of it that follows "{sign}"'
        else:
            return None
        if self._unsaid is Unsaid.REFUSE:
            return Refusal(why.partition(":")[0], f"{why}; say it without that sign")
        self._warnings.append(why)
        if sign in prompt and avoided is not None:
            self._behind = ""
            self._left.append(AVOIDED)
            self._warnings.append(
                f'{AVOIDED}: {self._dialect} hears none beside a "{sign}" in the prompt: it is not sent'
            )
        return None

    def _chosen(self) -> tuple[tuple[str, Scalar], ...]:
        """That pictures are to come themselves, told to whoever would send their addresses."""
        told = self._way.chooses and answers_with_urls(self._request.model)
        return ((FORMAT, "b64_json"),) if told and FORMAT not in dict(self._request.extra) else ()

    def _value(self, name: str) -> Scalar:
        value: Scalar = getattr(self._request, name)
        return AUTO if value is None and self._known is not None and name in self._known.always else value

    def _field(self, name: str, value: Scalar) -> Refusal | None:
        rule = self._rule(name)
        spoken = None if rule is None else rule.say(value)
        if spoken is None and (value == AUTO or value in self._way.implied.get(name, ())):
            return None
        if self._unsaid is Unsaid.REFUSE and (spoken is None or spoken.remark):
            return Refusal(
                name, f"{name}: {self._why(name, value, rule)}; leave it out, or let it be dropped or emulated"
            )
        if spoken is None and self._unsaid is Unsaid.EMULATE:
            spoken = self._emulated(name, value)
        if spoken is None:
            self._left.append(name)
            self._warnings.append(f"{self._why(name, value, rule)}: {self._without(name)}")
            return None
        if spoken.remark:
            self._warnings.append(f"{name}{_shown(name, value)} is {spoken.remark}")
        self._pairs += spoken.pairs
        self._behind += spoken.behind
        return None

    def _rule(self, name: str) -> Rule | None:
        """The line of the table. Where the catalog knows the model, its own word counts as well."""
        if self._known is not None and name in PARAMETERS and name not in self._known.parameters:
            return None
        return self._way.says.get(name)

    def _emulated(self, name: str, value: Scalar) -> Spoken | None:
        """The value in another way, if there is one, and if nothing that is given says the same."""
        rule = self._way.emulated.get(name)
        spoken = None if rule is None else rule.say(value)
        if spoken is None or any(pair[0] in dict(self._said()) for pair in spoken.pairs):
            return None
        how = "within the prompt" if spoken.behind else " and ".join(f"as {one} {told}" for one, told in spoken.pairs)
        return evolve(spoken, remark=f"said {how}: {self._dialect} has no words of its own for it")

    def _said(self) -> list[tuple[str, Scalar]]:
        """All pairs that the request's own fields are told as."""
        said: list[tuple[str, Scalar]] = list(self._request.extra)
        for name, rule in self._way.says.items():
            value: Scalar = getattr(self._request, name)
            spoken = None if value is None else rule.say(value)
            said += () if spoken is None else spoken.pairs
        return said

    def _why(self, name: str, value: Scalar, rule: Rule | None) -> str:
        if name == "seed" and self._known is not None:
            return f"{self._request.model} knows no seed"
        return f"{self._dialect} has no words for {name}" + ("" if rule is None else _shown(name, value))

    def _without(self, name: str) -> str:
        return "it is not sent" + (", and only tells this result from others" if name == "seed" else "")


def _shown(name: str, value: Scalar) -> str:
    """A value behind its name, where it is none of the user's texts."""
    return "" if name in (AVOIDED, "user") else f" {ascii(value)[:SHOWN].strip(QUOTES)}"
