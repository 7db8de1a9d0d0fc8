"""Executors: places where jobs run, and campaigns of tasks that run there."""
