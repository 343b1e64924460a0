"""The face: webhook, API, Slack, pages."""
