"""The rules table: load, check, classify."""
