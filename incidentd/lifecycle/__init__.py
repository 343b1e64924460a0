"""The use cases: receive, act, tick, deliver, keep time."""
