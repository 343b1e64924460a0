"""A steady load for an hour, and whether anything grows: ``python -m tests.fault.soak``."""
