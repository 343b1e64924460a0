"""Benchmarks: incidentd against a bare endpoint, side by side in one run. ``make bench`` runs them."""
