"""Format a generated spec as commented YAML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from oraclezoo.cloud.job import Rendered

_WIDTH = 96


def to_yaml(rendered: Rendered, comments: Iterable[str] = ()) -> str:
    """Return a spec as YAML, with comments above it.

    Args:
        rendered: The spec.
        comments: Further comments, one sentence each.

    Returns:
        The text of a file, with a trailing newline.
    """
    import json

    import yaml  # only needed here

    lines = [*comments, *rendered.notes]
    header = [
        f"# {row}"
        for line in lines
        for row in textwrap.wrap(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    ]
    document = json.loads(json.dumps(rendered.document))  # shared parts would become anchors
    body: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
    return "\n".join([*header, body])
