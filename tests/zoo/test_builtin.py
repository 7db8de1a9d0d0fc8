"""The built-in specs: light to import, complete, and true to what they point at."""

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
"""Targets that hand their options on: whether those arrive is tested with each kind."""
ENGINE_ARGUMENTS = {
    "backbone": {"in_chans", "num_classes", "image_size"},
    "optimizer": {"named_parameters"},
    "scheduler": {"optimizer", "total_steps", "steps_per_epoch"},
}


def run(code: str) -> str:
    """What ``code`` prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_builtins_implement_every_hook_through_pluggy() -> None:
    """Registered as any plugin is, each hook answers with specs of its own kind, names unique."""
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
def test_a_spec_says_all_there_is_to_say(spec: Spec) -> None:
    """Summary, source and facts are there; options have help, bounds, and lawful defaults."""
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
    """What a listing shows as default is what a call from Python gets."""
    parameters = inspect.signature(spec.load()).parameters
    given = ENGINE_ARGUMENTS[spec.kind] | {o.name for o in spec.options} | set(spec.fixed)
    assert set(parameters) == given or (spec.fixed and set(parameters) > given)
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
    """Training with what is written here, or is torch's, must not pay for timm and torchvision."""
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
