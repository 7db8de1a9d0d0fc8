"""References to secrets, and checks that a spec does not contain secrets.

Specs are committed, mailed and shown in consoles. A spec may name a secret, but never contain one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oraclezoo.errors import UsageError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMES = {
    "kubernetes": re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9.-]*[a-z0-9])?"),
    "cloudrun": re.compile(r"[A-Za-z0-9_-]{1,255}"),
}
_KEYS = {
    "kubernetes": re.compile(r"[A-Za-z0-9._-]{1,253}"),
    "cloudrun": re.compile(r"latest|[1-9]\d{0,8}"),
}
_FORMS = {"kubernetes": "VARIABLE=SECRET:KEY", "cloudrun": "VARIABLE=SECRET[:VERSION]"}

_SECRET_NAME = re.compile(
    r"(?:^|[._-])(?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|access_?key|private_?key|"
    r"credentials?|auth)(?:$|[._-])",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY        # PEM
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b        # AWS
    | \bAIza[\w-]{30,}                     # Google API
    | \bya29\.[\w-]{20,}                   # Google OAuth
    | \bgh[opsur]_[A-Za-z0-9]{20,}         # GitHub
    | \bgithub_pat_\w{20,}
    | \bglpat-[\w-]{16,}                   # GitLab
    | \bhf_[A-Za-z0-9]{16,}                # Hugging Face
    | \bpypi-[\w-]{16,}
    | \bsk-[\w-]{16,}
    | \bxox[abeoprs]-[\w-]{10,}            # Slack
    | \beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.       # JSON Web Token
    | ://[^/\s@]*:[^/\s@]+@                # URL with a password
    """,
    re.VERBOSE,
)

_HEX = re.compile(r"\b[0-9a-f]{40}\b")
"""Keys of W&B and others; commits look the same."""

_COMMIT = re.compile(r"commit|revision|digest|(?:^|[._-])sha(?:1|256)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Secret:
    """Reference to a secret that the platform stores.

    Attributes:
        variable: Environment variable that receives the value.
        name: Name of the secret.
        key: Key (Kubernetes) or version (Google Secret Manager) of the secret.
    """

    variable: str
    name: str
    key: str

    @classmethod
    def parse(cls, text: str, platform: str) -> Secret:
        """Parse ``VARIABLE=SECRET:KEY``.

        Args:
            text: The text.
            platform: ``kubernetes`` or ``cloudrun``.

        Raises:
            UsageError: The text is malformed, or contains a value instead of a name. The message
                does not repeat the text.
        """
        variable, _, reference = text.partition("=")
        name, colon, key = reference.partition(":")
        if platform == "cloudrun" and not colon:
            key = "latest"
        fine = (
            _VARIABLE.fullmatch(variable)
            and _NAMES[platform].fullmatch(name)
            and _KEYS[platform].fullmatch(key)
        )
        if not fine or _is_secret(reference):
            raise UsageError(
                f"--secret takes the name of a stored secret: {_FORMS[platform]}, never its value"
            )
        return cls(variable, name, key)


def refuse_values(words: Sequence[str], env: Mapping[str, str], advice: str) -> None:
    """Raise UsageError if a command or an environment variable seems to contain a secret.

    Args:
        words: The command.
        env: Environment variables.
        advice: How the platform passes secrets, for the message, which does not repeat the value.
    """
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"--env '{name}' is not the name of an environment variable")
        if value and (_SECRET_NAME.search(name) or _is_secret(value, name)):
            raise UsageError(
                f"--env {name} looks like a secret, which a spec must not contain; {advice}"
            )
    for word in words:
        key, equals, value = word.rpartition("=")
        named = equals and value and _SECRET_NAME.search(key.lstrip("-"))
        if named or _is_secret(word, key):
            shown = f"'{key}'" if named else "a word of the command"
            raise UsageError(
                f"{shown} looks like a secret, which a spec must not contain; {advice}"
            )


def _is_secret(text: str, name: str = "") -> bool:
    """Return whether a text looks like a secret, as the value of something with this name."""
    hexadecimal = _HEX.search(text) and not _COMMIT.search(name)
    return bool(_SECRET_VALUE.search(text) or hexadecimal)
