"""The pure heart: no clock, no database, no network, no framework."""
