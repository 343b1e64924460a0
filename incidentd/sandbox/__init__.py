"""Stand-ins for PagerDuty and Slack, as strict as the real ones, and for mail servers and webhooks."""
