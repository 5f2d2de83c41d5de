from __future__ import annotations

import torch

from scenetext.layers.resizing import to_one_size


def test_logits_are_enlarged_bilinearly() -> None:
    logits = torch.tensor([[[[0.0, 4.0]]]]).bfloat16().requires_grad_()
    targets = {"text": torch.arange(16).view(1, 2, 8)}
    enlarged, same = to_one_size(logits, targets, enlarge=True)
    assert enlarged.dtype == torch.float32
    assert enlarged[0, 0].tolist() == [[0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]] * 2
    assert same["text"] is targets["text"]
    enlarged.sum().backward()
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == [8, 8]


def test_targets_are_thinned_out() -> None:
    logits = torch.randn(2, 3, 2, 3)
    targets = {"text": torch.arange(2 * 8 * 12).view(2, 8, 12), "valid": torch.ones(2, 8, 12, dtype=torch.uint8)}
    same, thinned = to_one_size(logits, targets, enlarge=False)
    assert torch.equal(same, logits)
    assert thinned["text"][0].tolist() == [[0, 4, 8], [48, 52, 56]]
    assert {name: (target.dtype, tuple(target.shape)) for name, target in thinned.items()} == {
        "text": (torch.int64, (2, 2, 3)),
        "valid": (torch.uint8, (2, 2, 3)),
    }
