"""Outputs and figures of benchmarks/first_minute.py, and the citation. Lightweight imports only."""

from __future__ import annotations

import yaml
from measured import MEASUREMENTS, read

from oraclezoo import __version__

NAME = "first-minute.json"
ROOT = MEASUREMENTS.parents[1]


def install_figures() -> str:
    """Return the size of an installation."""
    step = read(NAME)["install"]
    return (
        f"The installation takes {step['bytes'] / 1e9:.1f} GB, nearly all of it PyTorch "
        f"{step['torch']} (measured on {step['machine']}).\n"
    )


def output_predict() -> str:
    """Return the first command with its output."""
    step = read(NAME)["predict"]
    return "\n".join(["```console", f"$ {step['command']}", *step["output"], "```\n"])


def citation() -> str:
    """Return BibTeX entries of CITATION.cff."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    paper = cff["references"][0]
    authors = " and ".join(
        f"{one['family-names']}, {one['given-names']}" for one in paper["authors"]
    )
    key = paper["authors"][0]["family-names"].lower()
    return f"""```bibtex
@software{{oraclezoo,
  title   = {{{cff["title"]}}},
  author  = {{{{{cff["authors"][0]["name"]}}}}},
  version = {{{__version__}}},
  license = {{{cff["license"]}}}
}}

@article{{{key}{paper["year"]},
  title   = {{{paper["title"]}}},
  author  = {{{authors}}},
  journal = {{{paper["journal"]}}},
  volume  = {{{paper["volume"]}}},
  pages   = {{{paper["start"]}}},
  year    = {{{paper["year"]}}}
}}
```
"""
