"""Hyperparameter sweeps on Optuna."""
