"""Real processes on a real Redis."""
