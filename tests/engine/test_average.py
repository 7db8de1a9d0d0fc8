"""Averaged weights equal torch's AveragedModel."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from oraclezoo.engine.average import Averaged


def test_averages_are_torchs() -> None:
    """Averages and buffers are bit-identical over a few steps; counters are copied."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    own = Averaged(model, 0.9)
    reference = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(4):
        model(torch.randn(8, 4))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        own.update_parameters(model)
        reference.update_parameters(model)
    own, other = own.state_dict(), reference.state_dict()
    assert own.keys() == other.keys()
    assert own["n_averaged"] == int(other["n_averaged"]) == 4
    counter = "module.1.num_batches_tracked"
    assert all(torch.equal(own[k], other[k]) for k in own if k not in ("n_averaged", counter))
    assert int(own[counter]) == 4
    again = Averaged(model, 0.9)
    again.load_state_dict(own)
    assert again.updates == 4
    assert all(torch.equal(again.state_dict()[k], own[k]) for k in own if k != "n_averaged")
