"""What all tests share: the Hypothesis profiles.

`ci` (chosen by the environment variable `CI`) runs the same examples every time, so that a red run is red again;
`dev` looks for new ones. `HYPOTHESIS_PROFILE` names another. Neither has a deadline: a slow machine is no fault.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow]

settings.register_profile("dev", deadline=None, print_blob=True, suppress_health_check=SLOW)
settings.register_profile("ci", deadline=None, print_blob=True, suppress_health_check=SLOW, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
