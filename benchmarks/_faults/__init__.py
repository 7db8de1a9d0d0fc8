"""Fault injection: attacks on an installed oraclezoo through its command line and Python API.

The attacked version is a black box. Only ``server`` and ``probes``, which run under the attacked
interpreter, import oraclezoo.
"""

from _faults import (
    extremes,
    forgeries,
    honest,
    inputs,
    kills,
    locks,
    messages,
    parsers,
    pipes,
    plugin_code,
    plugin_errors,
    plugin_specs,
    saves,
    strangers,
    tracks,
    values,
)

SECTIONS = {
    "plugins": (*plugin_code.CASES, *plugin_errors.CASES, *plugin_specs.CASES),
    "processes": (*locks.CASES, *saves.CASES, *kills.CASES),
    "files": (*strangers.CASES, *pipes.CASES, *extremes.CASES, *inputs.CASES),
    "forgeries": (*forgeries.CASES, *honest.CASES),
    "values": (*values.CASES, *messages.CASES, *tracks.CASES),
    "mutations": parsers.CASES,
}
"""Cases by section of the table."""
