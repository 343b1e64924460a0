"""Recorded alerts through any table, and plans that were not lived through."""
