"""``python -m tests.fuzz <target> <libFuzzer's options>``: bytes that atheris makes up, led by what they reach.

https://github.com/google/atheris
"""

import sys

import atheris

PARSERS = [
    "incidentd.intake",
    "incidentd.classify",
    "incidentd.web.slack",
    "incidentd.web.interaction",
    "incidentd.channels.pagerduty_webhook",
]

with atheris.instrument_imports(include=PARSERS):
    from tests.fuzz.target import TARGETS


def main() -> None:
    """Until the options say that it is enough; the exit status is not 0 where a promise broke."""
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
