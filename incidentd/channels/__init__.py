"""Destinations: one file for each kind, one line in the registry, one contract suite for all."""
