"""Stand-ins for PagerDuty and Slack, as strict as the real ones."""
