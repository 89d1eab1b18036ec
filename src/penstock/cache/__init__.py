"""Is it paid for already? The names under which pictures are stored and shared."""

from __future__ import annotations

from penstock.cache.key import keys

__all__ = ["keys"]
