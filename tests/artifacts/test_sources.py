"""The digest of the code: moved by what runs, not by what is written about it."""

from __future__ import annotations

import io
import tokenize
from pathlib import Path

import pytest

from oraclezoo.artifacts.sources import ROOT, code_of, code_sha256

PLAIN = '''import os
LIMIT = 3
class Net:
    WIDTH = 8
    def size(self) -> str:
        text = f"{self.WIDTH!r:>4} # not a comment"
        return text + """

        # nor this
        """
'''
SPOKEN = '''"""What the module does.

In two paragraphs.
"""

# a remark
import os  # another

LIMIT = 3
"""Of something."""


class Net:
    """A net."""

    WIDTH = 8  # wide
    "Its width."

    def size(self) -> str:
        """How large.

        # in a docstring
        """
        text = f"{self.WIDTH!r:>4} # not a comment"

        # before the end
        return text + """

        # nor this
        """
'''


def test_comments_and_docstrings_do_not_count() -> None:
    """Nor blank lines; both sources are the same code."""
    assert code_of(SPOKEN) == code_of(PLAIN) == PLAIN.rstrip()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("# not a comment", "# no comment"),
        ("# nor this", "# nor that"),
        ('return text + """\n\n', 'return text + """\n'),
        ("return text", "yield text"),
    ],
)
def test_what_runs_counts(old: str, new: str) -> None:
    """Strings too, whatever they look like."""
    assert code_of(SPOKEN.replace(old, new)) != code_of(SPOKEN)


def significant(source: str) -> list[str]:
    """The tokens of a source that run, by Python's own tokenizer."""
    layout = (tokenize.NL, tokenize.COMMENT)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    significant_tokens = [token for token in tokens if token.type not in layout]
    starts = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    spoken = [
        token.type == tokenize.STRING
        and significant_tokens[at + 1].type == tokenize.NEWLINE
        and (at == 0 or significant_tokens[at - 1].type in starts)
        for at, token in enumerate(significant_tokens)
    ]
    return [
        token.string
        for token, is_doc in zip(significant_tokens, spoken, strict=True)
        if not is_doc and token.string.strip()
    ]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_keeps_what_runs(path: Path) -> None:
    """And loses all else, as Python's own tokenizer has it."""
    source = path.read_text(encoding="utf-8")
    code = code_of(source)
    assert significant(code) == significant(source)
    assert not any(
        token.type == tokenize.COMMENT
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
    )


def test_the_digest_is_one_of_sha256() -> None:
    """And the same each time."""
    first = code_sha256()
    code_sha256.cache_clear()
    assert code_sha256() == first
    assert len(first) == 64
