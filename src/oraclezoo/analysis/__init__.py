"""Analysis of trained models: evaluation, figures and drift detection."""
