"""Executors that run jobs, and campaigns of tasks."""
