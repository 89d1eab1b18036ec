"""What a request means to whom it is told: the request again, made of what is said of it.

Its keys are made of that. Requests that are told in the same words are one picture, one flight and one purchase, and so
are a field and its emulation, or a word of the dialect's own in `extra`. What is not said is no part of it, but for the
seed: whoever gives one wants another picture, be it told or not.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from penstock.requests import NEUTRAL, PARAMETERS, ImageRequest, Scalar
from penstock.requests.images import takes
from penstock.wire.dialects import Rule


def meant(
    request: ImageRequest,
    rules: Mapping[str, Rule],
    sent: Mapping[str, Scalar],
    prompt: str,
    *,
    always: tuple[str, ...] = (),
    unsaid: tuple[str, ...] = (),
) -> ImageRequest:
    """The request that `prompt` ("": its own) and the parameters `sent` say in the words of `rules`.

    `always` are fields for which a server is told "auto" where they are None. `unsaid` are those that are not sent.
    """
    fields, rest = _heard(rules, sent)
    if "seed" in unsaid:
        fields["seed"] = request.seed
    for name in always:
        if getattr(request, name) is None:
            fields.pop(name, None)
    given = {name: getattr(request, name) for name in (*PARAMETERS, *NEUTRAL) if getattr(request, name) is not None}
    if not prompt and fields == given and rest == dict(request.extra):
        return request
    return evolve(
        request,
        prompt=prompt or request.prompt,
        size=_word(fields, "size"),
        quality=_word(fields, "quality"),
        background=_word(fields, "background"),
        moderation=_word(fields, "moderation"),
        output_format=_word(fields, "output_format"),
        output_compression=_whole(fields, "output_compression"),
        user=_word(fields, "user"),
        complexity=_word(fields, "complexity"),
        seed=_whole(fields, "seed"),
        negative_prompt=_word(fields, "negative_prompt"),
        steps=_whole(fields, "steps"),
        guidance=_amount(fields, "guidance"),
        strength=_amount(fields, "strength"),
        input_fidelity=_word(fields, "input_fidelity"),
        extra=tuple(rest.items()),
    )


def _heard(rules: Mapping[str, Rule], sent: Mapping[str, Scalar]) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
    """The fields that are said, and what is no field's word."""
    fields: dict[str, Scalar] = {}
    rest = dict(sent)
    for name, rule in rules.items():
        value, names = rule.hear(rest)
        other = name in rest and name not in names  # a server's own word that is called like the field
        if value is not None and not other and takes(name, value):
            fields[name] = value
            for one in names:
                del rest[one]
    return fields, rest


def _word(fields: Mapping[str, Scalar], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _whole(fields: Mapping[str, Scalar], name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) else None


def _amount(fields: Mapping[str, Scalar], name: str) -> float | None:
    value = fields.get(name)
    return value if isinstance(value, int | float) else None
