"""RQ job functions, the timekeeper and the worker processes."""
