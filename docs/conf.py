"""Sphinx configuration. Builds offline: ``sphinx -n -W -b html docs docs/_build/html``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from oraclezoo import __version__

project = "oraclezoo"
author = "The oraclezoo developers"
project_copyright = "2026, The oraclezoo developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "oraclezoo.sphinxext",
    "oraclezoo_docs",
]
exclude_patterns = [
    "_build",
    "_gallery/sg_execution_times.rst",  # loads a remote script
    "gallery",
    "npm",
    "sg_execution_times.rst",
    "zoo",  # earlier versions generated pages there
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # would turn the dashes of --options into one

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"npt.ArrayLike": "npt.ArrayLike"}  # else spelt out over three lines
autodoc_class_signature = "mixed"
nitpick_ignore_regex = [
    # other projects' names: their inventories are not at hand offline
    (r"py:.*", r"(PIL|collections|np|npt|numpy|pathlib|rich|torch|typing)\..*"),
    (
        r"py:.*",
        r"(Any|Callable|Iterable|Mapping|NDArray|ArrayLike|Path|Sequence|nn\.Module|Module|"
        r"Optimizer|LRScheduler|Dataset|Polarity|Say|Gray)",
    ),
    # records whose fields have tables: in recipes.md and results.md
    (r"py:class", r"oraclezoo\.(recipe|result)\.(sections\.)?[A-Z]\w+"),
    # parts of the records above: run.json, model.json, receipts and events of jobs
    (
        r"py:class",
        r"oraclezoo\.(artifacts\.record|card|card\.receipt|jobs\.messages|benching\.events)\.[A-Z]\w+",
    ),
    (r"py:class", r"PluginSource|oraclezoo\.compression\.channels\.plan\.Plan"),
    # fields of a sweep's record, described in sweeps.md
    (r"py:class", r"oraclezoo\.sweeping\.\w+\.[A-Z]\w+"),
    # oraclezoo.errors, and Python's own; cli.md lists their exit codes
    (r"py:exc", r"[A-Z]\w+"),
    # protocols for plugin authors, in plugins.md; what autodoc makes of npt.ArrayLike in a union
    (r"py:class", r"oraclezoo\.contracts\.[A-Z]\w+|TypeAliasForwardRef"),
]
nitpick_ignore = [
    # docstrings that name a neighbor in their own file
    ("py:class", "OnnxClassifier"),
    ("py:class", "oraclezoo.analysis.features.Features"),
    ("py:func", "fingerprint"),
    ("py:class", "Table"),
    ("py:class", "Trainer"),
    ("py:func", "validate"),
    # what functions of the API give or name, described in their guides
    ("py:class", "oraclezoo.artifacts.run.ScoredRecord"),
    ("py:class", "oraclezoo.compression.torch_form.Form"),
    ("py:class", "oraclezoo.imaging.find.Box"),
    ("py:class", "oraclezoo.onnx_export.detector.Detector"),
    ("py:class", "oraclezoo.testing.kit.Check"),
    ("py:mod", "oraclezoo.testing.fixtures"),
]

html_theme = "furo"
html_title = f"oraclezoo {release}"
html_logo = html_favicon = "../src/oraclezoo/page/static/icon.svg"
html_css_files = ["oraclezoo-docs.css"]
html_static_path = ["_static"]
repository = os.environ.get("GITHUB_REPOSITORY")  # set where the site is built and published
html_theme_options = {}
if repository:
    html_theme_options = {
        "source_repository": f"https://github.com/{repository}/",
        "source_branch": "main",
        "source_directory": "docs/",
        "top_of_page_buttons": ["view", "edit"],
    }

# only what follows a prompt is copied; output and prompts are not
copybutton_prompt_text = r"\$ |>>> |\.\.\. |PS> "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "_gallery",
    "filename_pattern": "/plot_",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 5,
    "remove_config_comments": True,
    "image_scrapers": ("matplotlib",),
    "reset_modules": ("matplotlib", "gallery_style.reset"),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "copyfile_regex": r"$^",
}
html_copy_source = False
html_show_sourcelink = False
