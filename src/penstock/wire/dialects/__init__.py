"""The ways of speaking to providers, by name. To add one: a module with a `Dialect`, and its line below."""

from __future__ import annotations

from penstock.wire.dialects import openai
from penstock.wire.dialects._dialect import Dialect, Way

DIALECTS: dict[str, Dialect] = {one.name: one for one in (openai.DIALECT,)}
"""Every dialect there is."""

__all__ = ["DIALECTS", "Dialect", "Way"]
