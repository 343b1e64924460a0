"""The tests: each states a promise in its name."""
