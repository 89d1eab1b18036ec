"""Is it paid for already? The names under which pictures are stored and shared."""

from __future__ import annotations

from penstock.cache.key import Input, keys

__all__ = ["Input", "keys"]
