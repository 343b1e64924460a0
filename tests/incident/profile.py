"""How hard Hypothesis tries: the same examples each time, unless ``HEART_EXAMPLES`` asks for more and for new ones."""

import os

from hypothesis import HealthCheck, settings

_ASKED = os.environ.get("HEART_EXAMPLES")


def effort(examples: int, steps: int = 50) -> settings:
    """Settings for one property that tries ``examples`` by default, in proportion where more are asked for."""
    asked = max(1, examples * int(_ASKED) // 100) if _ASKED else examples
    return settings(
        max_examples=asked,
        stateful_step_count=steps,
        derandomize=not _ASKED,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
