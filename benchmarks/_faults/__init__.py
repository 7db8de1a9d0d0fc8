"""Fault injection: attacks on an installed oraclezoo through its command line and Python API.

The attacked version is a black box. Only ``server`` and ``probes``, which run under the attacked
interpreter, import oraclezoo.
"""

from _faults import (
    forgeries,
    inputs,
    kills,
    locks,
    parsers,
    plugin_code,
    plugin_specs,
    strangers,
    tracks,
    values,
)

SECTIONS = {
    "plugins": (*plugin_code.CASES, *plugin_specs.CASES),
    "processes": (*locks.CASES, *kills.CASES),
    "files": (*strangers.CASES, *inputs.CASES),
    "forgeries": forgeries.CASES,
    "values": (*values.CASES, *tracks.CASES),
    "mutations": parsers.CASES,
}
"""Cases by section of the table."""
