"""What the five systems measure: `python -m slo` makes Prometheus's rules and their tests of `<system>/*.yaml`."""
