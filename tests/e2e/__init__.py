"""Everything together, as a user starts it, seen from outside."""
