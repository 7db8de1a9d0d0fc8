"""Requests and events of jobs, and their JSON documents."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from oraclezoo.codec import decode, encode


class Event(Protocol):
    """A frozen dataclass that a job sends, with the same field types as a :class:`Request`."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


@dataclass(frozen=True)
class Message:
    """A line of text for the user."""

    text: str = field(metadata={"json": "message"})


@dataclass(frozen=True)
class Failed:
    """The last event of a job that failed.

    ``reason`` is ``diverged``, ``out-of-memory``, ``interrupted``, ``killed`` or ``error``;
    ``stderr`` is the end of its standard error.
    """

    reason: str
    message: str
    stderr: str = ""


@dataclass(frozen=True)
class Ended:
    """The last event of a job that succeeded without an event."""


class Request(Protocol):
    """A frozen dataclass with the input of a job.

    Fields are JSON values, paths, recipes, tuples, mappings and other dataclasses.
    """

    ACTION: ClassVar[str]
    """Handler, as ``module:function``; called with the request and a :class:`Channel`.

    A class attribute ``INCIDENTAL``, if there is one, has the names of the fields that do not
    affect the outcome.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


def to_json(request: Request) -> str:
    """Return a request as the JSON document that :func:`perform` takes.

    Args:
        request: The request.

    Returns:
        The document.
    """
    return json.dumps({"action": request.ACTION, "request": encode(request)})


def event_to_json(event: Event) -> dict[str, Any]:
    """Return an event as a JSON document with its class and fields."""
    kind = type(event)
    return {"event": f"{kind.__module__}:{kind.__name__}", "fields": encode(event)}


def event_from_json(document: Mapping[str, Any]) -> Event:
    """Return the event of a document from :func:`event_to_json`. Raises KeyError or TypeError."""
    event: Event = decode(attribute(document["event"]), document["fields"])
    return event


def attribute(target: str) -> Any:
    """Import the object named by ``module:attribute``."""
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)
