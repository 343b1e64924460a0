"""Random faults of all kinds against real processes: ``python -m tests.fault.chaos``."""
