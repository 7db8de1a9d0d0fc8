"""Run the command line with ``python -m oraclezoo``."""

from __future__ import annotations

from oraclezoo.cli import main

if __name__ == "__main__":
    main()
