"""Locate and verify ONNX Runtime for browsers, which the page requires without a server.

The runtime is not part of the package, because it is larger than the rest of it. ``nox -s page``
installs the version that ``docs/npm/package-lock.json`` pins.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from oraclezoo.errors import UsageError

VERSION = "1.30.0"
SCRIPT = "ort.wasm.bundle.min.mjs"
WASM = "ort-wasm-simd-threaded.wasm"
FILES = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""The runtime files that the page loads, with their SHA-256 in this version."""

LICENSE = Path(__file__).with_name("runtime-license.txt")
PACKAGE = Path("node_modules", "onnxruntime-web", "dist")
INSTALLED = Path(__file__).parents[3] / ".nox" / "page" / PACKAGE
"""Where ``nox -s page`` installs the runtime in a checkout."""

INSTEAD = (
    f"In a checkout, run 'nox -s page'. Elsewhere, run 'npm install --prefix ort "
    f"onnxruntime-web@{VERSION}' and pass --runtime {Path('ort') / PACKAGE}"
)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The verified files of ONNX Runtime, by name."""

    files: dict[str, bytes]

    @classmethod
    def open(cls, folder: Path | None = None) -> Runtime:
        """Read and verify the files in a folder; by default, in that of ``nox -s page``.

        Raises:
            UsageError: A file is missing or does not match :data:`VERSION`; the message says how
                to install it.
        """
        place = INSTALLED if folder is None else folder
        files = {}
        for name, sha256 in FILES.items():
            try:
                files[name] = (place / name).read_bytes()
            except OSError as error:
                where = "" if folder is None else f" in {folder}"
                raise UsageError(
                    f"ONNX Runtime for browsers was not found{where}: no {name}\n{INSTEAD}"
                ) from error
            if hashlib.sha256(files[name]).hexdigest() != sha256:
                raise UsageError(
                    f"{place / name} does not match onnxruntime-web {VERSION}\n{INSTEAD}"
                )
        return cls(files)
