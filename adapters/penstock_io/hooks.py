"""Hooks: functions of yours that screens and the near cache ask.

A hook is called with a `Question`: the request, and the bytes of the pictures it is about (none: the prompt). It
answers with a `Verdict` (a screen), or with numbers (an embedder), in whatever time the screen's patience allows; what
it raises counts as a fault, as silence does.
"""

from penstock_io._perform import Hook, Question

__all__ = ["Hook", "Question"]
