"""Receipts: what a step of compression did to accuracy, size and speed."""
