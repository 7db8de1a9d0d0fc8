"""Monitoring of a served model: drift, metrics, alert rules and a dashboard; without torch."""
