"""Alertmanager's payload, alert by alert, as values that the rest can trust.

Source: the webhook body of version "4" (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
"""
