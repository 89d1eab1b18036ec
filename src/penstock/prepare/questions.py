"""Questions that a provider answers itself: what a screen says of a prompt or a picture, and the vector of a prompt.

The targets made here go into `Screen(target=...)` and `NearCache(target=...)`.
"""

from __future__ import annotations

from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.prepare._plain import bound
from penstock.requests.embeddings import EMBEDDINGS, LONGEST_TOKENS
from penstock.requests.moderations import DEFAULT_MODERATION, MODERATIONS
from penstock.work import Demand, Purpose, Target

PROMPT_TOKENS = 1_000
"""What a question is thought to take: a prompt of some length."""

EMBEDDER = "text-embedding-3-small"


def moderator(
    unix: float,
    model: str = DEFAULT_MODERATION,
    *,
    provider: str = "default",
    dialect: str = "openai",
    prices: Overrides = NO_OVERRIDES,
) -> Target:
    """A screen that is the provider's own moderation, at the prices of `unix` (seconds)."""
    rates = prices.price(provider, dialect, model, unix).rates
    free = rates is not None and rates.text == 0 and rates.image == 0
    return Target(
        provider=provider,
        model=model,
        demand=Demand(tokens=PROMPT_TOKENS),
        quote=0 if free else None,
        expected=0 if free else None,
        rates=rates,
        dialect=dialect,
        pool=model,
        operation=MODERATIONS,
        purpose=Purpose.SCREEN,
        divisible=False,
        most=1,
    )


def embedder(
    unix: float,
    model: str = EMBEDDER,
    *,
    provider: str = "default",
    dialect: str = "openai",
    prices: Overrides = NO_OVERRIDES,
) -> Target:
    """An embedder that is the provider's own, at the prices of `unix` (seconds); quoted at its longest input."""
    rates = prices.price(provider, dialect, model, unix).rates
    return Target(
        provider=provider,
        model=model,
        demand=Demand(tokens=PROMPT_TOKENS),
        quote=bound(LONGEST_TOKENS, rates),
        expected=bound(PROMPT_TOKENS, rates),
        rates=rates,
        dialect=dialect,
        pool=model,
        operation=EMBEDDINGS,
        purpose=Purpose.EMBED,
        divisible=False,
        most=1,
    )
