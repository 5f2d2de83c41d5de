from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from exported_detectors import make_run, make_task
from scenetext.tasks import inference
from scenetext.tasks.inference import prepare_for_inference

CPU = torch.device("cpu")
IMAGES = torch.randint(256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(5)).to(torch.uint8)


@pytest.mark.parametrize("detector", ["dbnet", "pan", "textbpn"])
def test_maps_stay_and_those_of_losses_are_not_made(detector: str) -> None:
    task = make_task(make_run(detector))
    ready = deepcopy(task)
    prepared = prepare_for_inference(ready, CPU)
    assert prepared.folded > 10
    with torch.no_grad():
        expected, found = task.maps(IMAGES), ready.maps(IMAGES)
    assert set(expected) - set(found) == set(task.spec.training_maps)
    for name, value in found.items():
        assert torch.allclose(value.float(), expected[name].float(), atol=1e-5, rtol=1e-4), name


def test_bf16_moves_maps_a_little_and_is_decoded_like_any_other() -> None:
    task = make_task(make_run("dbnet"))
    ready = deepcopy(task)
    assert str(prepare_for_inference(ready, CPU, "bf16")).startswith("network: on cpu, rounded to bf16")
    with torch.no_grad():
        expected, found = task.maps(IMAGES)["probability"], ready.maps(IMAGES)
    assert found["probability"].dtype == torch.bfloat16
    difference = (found["probability"].float() - expected).abs().max() / expected.abs().max()
    assert 0 < difference < 0.05
    task.spec.decode(found, task.config)


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, "fp32")])
def test_bf16_is_chosen_only_where_the_cpu_multiplies_in_it(
    has: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "cpu_multiplies_bf16", lambda: has)
    assert prepare_for_inference(make_task(make_run("dbnet")), CPU, "auto").precision == expected


def test_a_task_that_is_trained_computes_as_the_caller_says() -> None:
    """Evaluations during a training keep their numbers: nothing is chosen where nothing was prepared."""
    task = make_task(make_run("dbnet"))
    with torch.no_grad():
        assert task.maps(IMAGES)["probability"].dtype == torch.float32
        with torch.autocast("cpu", torch.bfloat16):
            assert task.maps(IMAGES)["probability"].dtype == torch.bfloat16
