"""``python -m tests.e2e.patient_demo <arguments>``: `incidentd demo`, which waits for a busy machine.

How late anything was it says all the same; whether that is too late is for the test to say.
"""

import sys
from datetime import timedelta

from incidentd.cli.demo import promise, stage, story
from incidentd.cli.entry import main

LONG = timedelta(seconds=60)

if __name__ == "__main__":
    for module in (promise, story):
        setattr(module, "LATENESS", LONG)  # noqa: B010
    setattr(story, "_SLACK_SECONDS", LONG.total_seconds())  # noqa: B010
    setattr(stage, "START_SECONDS", 3 * LONG.total_seconds())  # noqa: B010
    sys.argv = ["incidentd", "demo", *sys.argv[1:]]
    main()
