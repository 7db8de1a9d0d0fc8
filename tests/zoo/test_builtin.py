"""Built-in specs: no heavy imports, complete, and consistent with their targets."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pluggy
import pytest

from oraclezoo import hookspecs
from oraclezoo.specs import KINDS, Spec
from oraclezoo.zoo import builtin

SPECS = [
    *builtin.oraclezoo_backbones(),
    *builtin.oraclezoo_optimizers(),
    *builtin.oraclezoo_schedulers(),
]
FACTS = {
    "backbone": {"data_init", "prunable"},
    "optimizer": {"needs_closure", "train_eval", "separable", "takes", "others"},
    "scheduler": {"metric"},
}
GENERIC = {
    "oraclezoo.zoo.optimizers.torch_optimizers:from_torch",
    "oraclezoo.zoo.backbones.timm_nets:create",
    "oraclezoo.zoo.optimizers.timm_optimizers:from_timm",
    "oraclezoo.zoo.optimizers.timm_optimizers:kron",
}
"""Targets that forward their options; the tests of each kind check that they arrive."""
ENGINE_ARGUMENTS = {
    "backbone": {"in_chans", "num_classes", "image_size"},
    "optimizer": {"named_parameters"},
    "scheduler": {"optimizer", "total_steps", "steps_per_epoch"},
}


def run(code: str) -> str:
    """Return what ``code`` prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_builtins_implement_every_hook_through_pluggy() -> None:
    """Registered like any plugin, each hook returns specs of its kind with unique names."""
    host = pluggy.PluginManager("oraclezoo")
    host.add_hookspecs(hookspecs)
    host.register(builtin)
    host.check_pending()
    for kind in KINDS:
        (specs,) = getattr(host.hook, f"oraclezoo_{kind}s")()
        assert specs
        assert {spec.kind for spec in specs} == {kind}
        assert len({spec.name for spec in specs}) == len(specs)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{spec.name}")
def test_a_spec_is_complete(spec: Spec) -> None:
    """It has summary, source and facts; options have help, bounds and valid defaults."""
    assert spec.summary
    assert spec.source
    assert set(spec.facts) - {"not_prunable_because"} == FACTS[spec.kind]
    assert ("not_prunable_because" in spec.facts) <= (not spec.facts.get("prunable"))
    for option in spec.options:
        assert option.help
        assert option.check(option.default, spec.kind) == option.default
        if option.type in ("float", "int", "floats"):
            assert option.low is not None
            assert option.high is not None


@pytest.mark.parametrize(
    "spec",
    [s for s in SPECS if s.target not in GENERIC],
    ids=lambda spec: f"{spec.kind}-{spec.name}",
)
def test_the_target_takes_the_declared_options_with_the_declared_defaults(spec: Spec) -> None:
    """The listed defaults are those of a call from Python."""
    parameters = inspect.signature(spec.load()).parameters
    expected = ENGINE_ARGUMENTS[spec.kind] | {o.name for o in spec.options} | set(spec.fixed)
    assert set(parameters) == expected or (spec.fixed and set(parameters) > expected)
    for option in spec.options:
        assert parameters[option.name].default == option.default


def test_listing_the_builtins_imports_nothing_heavy() -> None:
    """All specs can be collected without torch, timm, onnx, numpy, scipy or Pillow."""
    code = (
        "import sys\n"
        "from oraclezoo.zoo import builtin\n"
        "from oraclezoo.zoo.backbones.specs import timm_spec\n"
        "builtin.oraclezoo_backbones(), builtin.oraclezoo_optimizers()\n"
        "builtin.oraclezoo_schedulers(), builtin.oraclezoo_datasets(), timm_spec('timm/resnet18')\n"
        "heavy = {'torch', 'timm', 'onnx', 'numpy', 'scipy', 'PIL', 'torchvision'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert run(code) == "[]"


def test_a_net_that_is_not_from_timm_does_not_import_timm() -> None:
    """Training with native or PyTorch components does not import timm and torchvision."""
    code = (
        "import sys\n"
        "from oraclezoo.zoo import builtin\n"
        "for spec in builtin.oraclezoo_backbones():\n"
        "    if 'timm' not in spec.target:\n"
        "        spec.load()(in_chans=1, num_classes=10, image_size=28, "
        "**spec.fixed, **spec.fill({}))\n"
        "for spec in builtin.oraclezoo_optimizers() + builtin.oraclezoo_schedulers():\n"
        "    'timm' in spec.target or spec.load()\n"
        "print('torch' in sys.modules, sorted({'timm', 'torchvision'} & set(sys.modules)))"
    )
    assert run(code) == "True []"
