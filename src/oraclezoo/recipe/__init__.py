"""Recipe: the complete configuration of a training run, as a strict and hashable record.

A recipe is loaded from a TOML file, from a mapping, or by the name of a bundled recipe. Unknown
sections and keys are errors that suggest similar names. :func:`oraclezoo.recipe.resolve.resolve`
qualifies component names and checks their options; only a resolved recipe has a hash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from oraclezoo.documents import checked, read_toml
from oraclezoo.errors import DataError, RecipeError, UnknownNameError, UsageError, nearest
from oraclezoo.notebook import Displayed
from oraclezoo.recipe.data_lock import digest_of, with_digest
from oraclezoo.recipe.sections import (
    COMPONENTS,
    SECTIONS,
    Augment,
    Budget,
    Component,
    Compress,
    Data,
    Distill,
    Evaluate,
    Loss,
    Pretrain,
    Training,
    keys,
)

SHIPPED = Path(__file__).parent / "shipped"


_TOP = ("name", "summary")
_NAME = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


@dataclass(frozen=True, repr=False)
class Recipe(Displayed):
    """Complete configuration of a training run, except for seed, device and paths.

    Create a recipe with :meth:`load` or :meth:`from_dict`, and change it with :meth:`override`.

    >>> import oraclezoo as oz
    >>> recipe = oz.Recipe.load("quick", {"optimizer.lr": 0.02})
    >>> recipe.optimizer.options["lr"]
    0.02
    """

    name: str
    backbone: Component
    optimizer: Component
    scheduler: Component
    data: Data = field(default_factory=Data)
    pretrain: Pretrain = field(default_factory=Pretrain)
    budget: Budget = field(default_factory=Budget)
    augment: Augment = field(default_factory=Augment)
    loss: Loss = field(default_factory=Loss)
    distill: Distill = field(default_factory=Distill)
    train: Training = field(default_factory=Training)
    evaluate: Evaluate = field(default_factory=Evaluate)
    compress: Compress = field(default_factory=Compress)
    summary: str = ""
    resolved: bool = False

    def _summary(self) -> dict[str, object]:
        return {
            "name": self.name,
            "track": self.data.track,
            **{key: getattr(self, key).name for key in COMPONENTS},
            "epochs": self.budget.epochs,
            "batch_size": self.budget.batch_size,
            **({"compress": self.compress.steps} if self.compress.steps else {}),
        }

    @classmethod
    def load(cls, source: str | Path, overrides: Mapping[str, object] | None = None) -> Self:
        """Load a bundled recipe or a TOML file.

        Args:
            source: Name of a bundled recipe, or path of a TOML file.
            overrides: Dotted keys and their values, e.g. ``{"optimizer.lr": 0.05}``.

        A path of a lock file (``data.lock``) is relative to the recipe's folder or, in
        ``overrides``, to the working directory. The recipe stores the digest of the lock instead of
        the path.

        Raises:
            RecipeError: The file cannot be read, or a section, key or value is invalid.
            DataError: The lock file named in ``overrides`` cannot be read.
            UnknownNameError: No bundled recipe has this name.
        """
        path = find(source)
        try:
            document = read_toml(path)
        except (OSError, ValueError) as error:
            raise RecipeError(f"recipe {path}: {error}") from error
        document.setdefault("name", path.stem)
        try:
            if "data" in document:
                document["data"] = with_digest(document["data"], path.parent)
            recipe = cls.from_dict(document)
        except (UsageError, DataError) as error:
            raise RecipeError(f"recipe {path}: {error}") from error
        return recipe.override(overrides or {})

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Create a recipe from the mapping in its TOML file. Raises RecipeError or UsageError."""
        known = (*_TOP, *COMPONENTS, *SECTIONS)
        parts: dict[str, Any] = {}
        for key, value in document.items():
            if key not in known:
                raise RecipeError(f"unknown section '{key}'{nearest(key, known)}")
            if key in _TOP:
                parts[key] = _text(key, value)
            elif not isinstance(value, Mapping):
                raise RecipeError(f"'{key}' must be a section: [{key}]")
            elif key in COMPONENTS:
                parts[key] = _component(key, value)
            else:
                parts[key] = _section(key, value)
        for key in ("name", *COMPONENTS):
            if key not in parts:
                raise RecipeError(f"'{key}' is missing")
        if not _NAME.fullmatch(parts["name"]):
            raise RecipeError(
                f"name '{parts['name']}': use at most 64 letters, digits, '.', '_' and '-', or two "
                "such names separated by '/', as in the recipes of a suite"
            )
        return cls(**parts)

    def override(self, changes: Mapping[str, object]) -> Self:
        """Return a copy in which the values of dotted keys are replaced.

        If a component is replaced, the options of the old component are dropped. A path of a lock
        file (``data.lock``) is relative to the working directory.
        """
        document = self.to_dict()
        for path in sorted(changes, key=lambda k: not k.endswith(".name")):  # component names first
            value = changes[path]
            section, dot, entry = path.partition(".")
            if not dot and section in _TOP:
                document[section] = value
                continue
            known = (*COMPONENTS, *SECTIONS)
            if section not in known:
                raise RecipeError(f"unknown section in '{path}'{_advice(path, value, known)}")
            if not entry:
                raise RecipeError(f"'{path}' is a section; set one of its keys, as {path}.KEY")
            if section in COMPONENTS and entry == "name" and document[section]["name"] != value:
                document[section] = {}
            document[section][entry] = digest_of(value, Path()) if path == "data.lock" else value
        changed = self.from_dict(document)
        return changed if changes else self

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping as stored in a TOML file, without options that are None."""
        document: dict[str, Any] = {"name": self.name, "summary": self.summary}
        for key in COMPONENTS:
            component: Component = getattr(self, key)
            options = {k: v for k, v in component.options.items() if v is not None}
            document[key] = {"name": component.name, **options}
        for section in SECTIONS:
            document[section] = dataclasses.asdict(getattr(self, section))
        return document

    def to_toml(self) -> str:
        """Return the recipe as TOML; :meth:`load` reads it back as an equal recipe."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    def canonical(self) -> dict[str, Any]:
        """Return the content that is hashed: everything that affects training, and nothing else."""
        if not self.resolved:
            raise UsageError(
                "the recipe is not resolved; call oraclezoo.recipe.resolve.resolve first"
            )
        document = self.to_dict()
        del document["name"], document["summary"]
        for key in COMPONENTS:
            component: Component = getattr(self, key)
            document[key] = {"name": component.name, "options": dict(component.options)}
        for idle in self.compress.idle:
            document["compress"][idle] = getattr(Compress(), idle)
        for name, section in SECTIONS.items():
            for f in dataclasses.fields(section):
                if f.metadata["later"] and document[name][f.name] == f.default:
                    del document[name][f.name]
            if not document[name]:
                del document[name]
        return document

    @property
    def uncompressed(self) -> Self:
        """The recipe without compression steps."""
        return dataclasses.replace(self, compress=Compress()) if self.compress.steps else self

    @property
    def label(self) -> str:
        """The name of the recipe with compression steps in parentheses, e.g. ``tiny (int8)``."""
        return f"{self.name} ({self.compress.steps})" if self.compress.steps else self.name

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON.

        The canonical JSON has sorted keys, qualified names, and all defaults filled in.

        Keys and options that were added after the first published recipes affect the hash only if
        their value is not the default.
        """
        text = json.dumps(
            self.canonical(), sort_keys=True, separators=(",", ":"), allow_nan=False, default=list
        )
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def hash12(self) -> str:
        """The first twelve hexadecimal digits of :attr:`hash`, as used in file names."""
        return self.hash[:12]


def shipped() -> list[str]:
    """Return the names of the bundled recipes."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def find(source: str | Path) -> Path:
    """Return a recipe's file, given its name or path. Raises RecipeError or UnknownNameError."""
    if isinstance(source, Path) or str(source).endswith(".toml"):
        path = Path(source)
        if not path.is_file():
            raise RecipeError(f"recipe {path}: no such file")
        return path
    path = SHIPPED / f"{source}.toml"
    if source not in shipped():
        raise UnknownNameError("recipe", source, shipped(), "or pass the path of a .toml file")
    return path


def parse_assignments(pairs: Iterable[str]) -> dict[str, object]:
    """Parse ``key=value`` strings into overrides; values that are not TOML are plain strings.

    Raises UsageError for a malformed string or a duplicate key.
    """
    changes: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"'{pair}' is not of the form section.key=value")
        key = key.strip()
        if key in changes:
            raise UsageError(f"'{key}' is set twice; remove one")
        changes[key] = parse_value(text.strip(), key)
    return changes


def parse_value(text: str, key: str = "value") -> object:
    """Parse ``text`` as a TOML value; return it unchanged if it is not TOML.

    Raises UsageError, which names ``key``, for a value that no recipe can contain, such as an
    integer of more than 63 bits.
    """
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    if len(document) != 1:
        return text
    try:
        return checked({key: document["value"]})[key]
    except ValueError as error:
        raise UsageError(f"{key} is {text[:40]}…: {error}") from error


def from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Read overrides from ``ORACLEZOO_<SECTION>__<KEY>``, e.g. ORACLEZOO_OPTIMIZER__LR=0.1."""
    changes: dict[str, object] = {}
    for name, text in environ.items():
        prefix, _, rest = name.partition("_")
        section, double, key = rest.partition("__")
        if prefix == "ORACLEZOO" and double:
            known = (*COMPONENTS, *SECTIONS)
            if section.lower() not in known:
                near = nearest(section.lower(), known)
                raise UsageError(f"environment variable {name}: unknown recipe section{near}")
            name = f"{section.lower()}.{key.lower()}"
            changes[name] = parse_value(text, name)
    return changes


def _advice(path: str, value: object, known: Iterable[str]) -> str:
    """Return a suggestion for a key without a known section, such as ``lr``, with its value."""
    from oraclezoo.recipe.near import near_keys

    candidates = [] if "." in path else near_keys(path)
    if candidates:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        return f"; use {' or '.join(f'{key}={text}' for key in candidates)}"
    return nearest(path.partition(".")[0], (*_TOP, *known))


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise RecipeError(f"'{key}' must be a string")
    return value


def _component(key: str, entries: Mapping[str, Any]) -> Component:
    options = dict(entries)
    name = options.pop("name", None)
    if not isinstance(name, str) or not name:
        raise RecipeError(f"[{key}] needs a name, e.g. name = \"...\" ('oraclezoo list {key}s')")
    for option, value in options.items():
        if not isinstance(value, (bool, int, float, str, list, tuple)):
            raise RecipeError(f"{key}.{option} must be a number, a string, true, false or a list")
    return Component(name, {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})


def _section(key: str, entries: Mapping[str, Any]) -> object:
    known = keys(SECTIONS[key])
    for entry in entries:
        if entry not in known:
            raise RecipeError(f"[{key}] has no key '{entry}'{nearest(entry, known)}")
    return SECTIONS[key](**{entry: known[entry].check(entries[entry], key) for entry in entries})
