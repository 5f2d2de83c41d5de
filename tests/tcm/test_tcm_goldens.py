"""TCM against the values of the published code: backbone, text, matching, detector with losses and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.detectors import find_detector
from scenetext.detectors.dbnet.mmocr import NAMES
from scenetext.encoders.clip_image import PooledClipResNet
from scenetext.tcm.encoder import TcmEncoder
from scenetext.tcm.guidance import INITIAL_GATE
from scenetext.tcm.matching import MatchingLoss
from scenetext.weights.files import WeightFile
from scenetext.weights.image_encoder import load_image_encoder
from scenetext.weights.mmocr import current_detector_name, rename_prefix
from scenetext.weights.published_tcm import published_name
from tcm_golden import (
    arrays,
    combinations,
    compare,
    compare_gradient,
    config,
    matching_input,
    tiny_encoder,
    tiny_settings,
)

ALL: dict[str, Any] = {"mode": "PP+LP", "lg": 1, "vg": 1}


def image_encoder() -> PooledClipResNet:
    return tiny_encoder(ALL).image


@torch.no_grad()
def compare_backbone(encoder: PooledClipResNet, images: np.ndarray, expected: dict[str, np.ndarray]) -> None:
    levels = encoder(torch.from_numpy(images)).levels
    tokens = encoder.attnpool(levels[-1])
    grid = tokens[:, 1:].transpose(1, 2).unflatten(2, levels[-1].shape[-2:])
    found = {f"stage{number}": level for number, level in enumerate(levels, 1)} | {"global": tokens[:, 0]}
    for name, values in expected.items():
        compare({**found, "visual": grid}[name], values, name)


def test_backbone_of_every_size() -> None:
    """Sizes other than the positions' grid, not square, and not multiples of 32 among them."""
    stored = arrays("tiny_backbone")
    sizes = [name.removeprefix("input.") for name in stored if name.startswith("input.")]
    assert len(sizes) >= 4
    for size in sizes:
        prefix = f"backbone.{size}."
        expected = {name.removeprefix(prefix): stored[name] for name in stored if name.startswith(prefix)}
        assert len(expected) == 6
        compare_backbone(image_encoder().eval(), stored[f"input.{size}"], expected)


def test_backbone_in_training() -> None:
    stored = arrays("tiny_backbone")
    expected = {key.removeprefix("backbone_train."): stored[key] for key in stored if key.startswith("backbone_train")}
    assert len(expected) == 3
    compare_backbone(image_encoder().train(), matching_input().numpy(), expected)


TEXT_CASES = {"pp": "PP", "pp_lp": "PP+LP", "lp_only": "LP", "two_pp": "PP"}


@torch.no_grad()
def test_text_feature_of_every_kind_of_prompt() -> None:
    stored = arrays("tiny_text")
    given = torch.from_numpy(stored["prompt_generator.in"])
    generator = tiny_encoder(ALL).prompts.generator
    assert generator is not None
    compare(generator(given), stored["prompt_generator.out"], "prompt_generator")
    cases = [name.removeprefix("text_encoder.") for name in stored if name.startswith("text_encoder.")]
    assert len(cases) >= 8
    for case in cases:
        parts = case.split("_")
        mode = "LP" if "only" in parts else "+".join(part.upper() for part in parts if part in ("pp", "lp"))
        encoder = tiny_encoder({"mode": mode, "lg": "lg" in parts, "vg": 0, "K": 2 if "two" in parts else 1})
        compare(encoder.prompts(encoder.text_encoder, given), stored[f"text_encoder.{case}"], case)


def compare_matching(encoder: TcmEncoder, name: str) -> None:
    """Score map, text features and the differences that the two decoders make."""
    stored = arrays("tiny_matching")
    levels = encoder.image(matching_input()).levels
    tokens = encoder.image.attnpool(levels[-1])
    text = encoder.text_features(tokens)
    features = encoder(matching_input())
    score = features.side["score_map"]
    tolerance = 5e-6 * max(1.0, float(np.abs(stored[f"{name}.score_map"]).max()))
    compare(score, stored[f"{name}.score_map"], name, atol=tolerance, rtol=0)
    assert torch.equal(features.levels[-1][:, -score.shape[1] :], score)
    refined = text if encoder.refinement is None else text + encoder.refinement_gate * encoder.refinement(text, tokens)
    compare(refined, stored[f"{name}.text_embeddings"], f"{name}.text_embeddings")
    inside = {"context_decoder": (encoder.refinement, text, tokens)}
    inside["visual_prompt_generator"] = (encoder.visual_prompt, tokens[:, 1:], text)
    for part, (decoder, query, memory) in inside.items():
        if f"{name}.{part}" in stored and decoder is not None:
            compare(decoder(query, memory), stored[f"{name}.{part}"], f"{name}.{part}")


@torch.no_grad()
def test_matching_of_every_combination() -> None:
    assert len(combinations()) >= 20
    for name, combination in combinations().items():
        compare_matching(tiny_encoder(combination), name)


@torch.no_grad()
def test_gates_at_their_first_values() -> None:
    encoder, stored = tiny_encoder(ALL), arrays("tiny_matching")
    assert encoder.refinement_gate is not None
    assert encoder.visual_gate is not None
    encoder.refinement_gate.fill_(INITIAL_GATE)
    encoder.visual_gate.fill_(INITIAL_GATE)
    score = encoder(matching_input()).side["score_map"]
    compare(score, stored["default_gamma.score_map"], "default_gamma", atol=5e-6, rtol=0)


def detector(loss: str, trainable_text: bool = True) -> tuple[TcmEncoder, torch.nn.Module, MatchingLoss]:
    """The tiny TCM-DBNet with the published weights."""
    encoder = tiny_encoder(ALL, loss=loss)
    encoder.text_encoder.requires_grad_(trainable_text)
    spec, neck = find_detector("dbnet"), config()["neck"]
    sizes = {"inner_channels": neck["lateral_channels"], "level_channels": neck["out_channels"]}
    head = spec.head(spec.config(**sizes), encoder.channels)
    names = {current_detector_name(key): value for key, value in arrays("tiny_state_dict").items()}
    published = {name: rename_prefix(name, NAMES) for name in head.state_dict()}
    head.load_state_dict(
        {name: torch.from_numpy(names[other]) for name, other in published.items() if other is not None}
    )
    return encoder, head.eval(), MatchingLoss(tiny_settings(ALL, loss=loss))


def ground_truth() -> dict[str, Tensor]:
    names = ("shrink", "shrink_mask", "thr", "thr_mask")
    targets = ("probability", "probability_valid", "threshold", "threshold_valid")
    stored = arrays("tiny_detector")
    return {target: torch.from_numpy(stored[f"gt_{name}"]) for target, name in zip(targets, names, strict=True)}


@torch.no_grad()
def test_detector_in_evaluation() -> None:
    encoder, head, _ = detector("dice")
    maps = head(encoder(matching_input()))
    probability, threshold = maps["probability"].sigmoid(), maps["threshold"].sigmoid()
    binary = torch.sigmoid(50 * (probability - threshold))
    compare(torch.stack([probability, threshold, binary], 1), arrays("tiny_detector")["eval.outs"], "maps")


def published_balanced_loss(logits: Tensor, region: Tensor, valid: Tensor) -> Tensor:
    """As published, with its mistake: the loss (B, 1, H, W) times a mask (B, H, W) becomes (B, B, H, W)."""
    each = F.binary_cross_entropy_with_logits(logits, region[:, None].float(), reduction="none")
    positive, negative = (region * valid).float(), ((1 - region) * valid).float()
    count = min(int(negative.sum()), int(positive.sum() * 3))
    hardest = torch.topk((each * negative).flatten(), count).values.sum()
    return ((each * positive).sum() + hardest) / (positive.sum() + count + 1e-6)


@pytest.mark.parametrize("loss", ["bbce", "dice"])
def test_detector_in_training(loss: str) -> None:
    """Losses, and their gradients in every part; with the balanced loss, through the published mistake."""
    stored = arrays("tiny_detector")
    encoder, head, matching = detector("dice" if loss == "dice" else "balanced_cross_entropy")
    spec, targets = find_detector("dbnet"), ground_truth()
    encoder.train()
    features = encoder(matching_input())
    terms = spec.loss(head.train()(features), targets, spec.config())
    region, valid = spec.text_region(targets)
    matching_loss = matching(features.side, region, valid)["matching"]
    if loss == "bbce":
        logits = F.interpolate(features.side["score_map"] / config()["tau"], region.shape[-2:], mode="bilinear")
        auxiliary = published_balanced_loss(logits, region, valid)
    else:
        auxiliary = matching_loss
    prefix = f"train.{loss}."
    for name, weight in (("prob", 5), ("db", 1), ("thr", 10)):
        term = terms[{"prob": "probability", "db": "binary", "thr": "threshold"}[name]]
        compare(weight * term, stored[f"{prefix}bbox.loss_{name}"], name, rtol=1e-5)
    compare(auxiliary, stored[f"{prefix}aux.loss_pix_cls"], "auxiliary", atol=0, rtol=1e-5)
    (5 * terms["probability"] + terms["binary"] + 10 * terms["threshold"] + auxiliary).backward()
    parameters = {published_name(name): value for name, value in encoder.named_parameters()}
    for name, value in head.named_parameters():
        parameters[(rename_prefix(name, NAMES) or "").replace("det_head", "bbox_head")] = value
    gradients = [name.removeprefix(f"{prefix}grad.") for name in stored if name.startswith(f"{prefix}grad.")]
    assert len(gradients) >= 10
    for name in gradients:
        compare_gradient(parameters[name].grad, stored[f"{prefix}grad.{name}"], name)


LOSSES = {"bbce": "balanced_cross_entropy", "dice": "dice", "pan": "hard_dice"}
PADDED = ((0, 0), (0, 17), (0, 30))
"""What the published code adds to the maps of its padded case, below and on the right."""


def auxiliary_case(name: str) -> tuple[str, np.ndarray, np.ndarray, float]:
    """Kind of loss, region, valid map and weight of a case such as n2_4x6.db_padded.bbce."""
    sizes, detector_name, kind = name.split(".")
    stored = arrays("aux_losses")
    region, valid = stored[f"{sizes}.gt"], stored[f"{sizes}.mask"]
    if detector_name == "fce":
        region, valid = stored[f"{sizes}.fce_maps"][:, 0], stored[f"{sizes}.fce_maps"][:, 2]
    if detector_name.endswith("padded"):
        region, valid = (np.pad(each[:, :-17, :-30], PADDED) for each in (region, valid))
    if detector_name.endswith("empty"):
        region = np.zeros_like(region)
    weight = 0.5 if detector_name.endswith("padded") else float(len(region)) if kind == "sum" else 1.0
    return LOSSES["pan" if detector_name.startswith("pan") else kind], region, valid, weight


def auxiliary_names() -> list[str]:
    return [name.removesuffix(".loss") for name in arrays("aux_losses") if name.endswith(".loss")]


def test_auxiliary_losses_and_their_gradients() -> None:
    """All cases but the balanced ones of several images, which the published code gets wrong (the next test)."""
    stored, seen = arrays("aux_losses"), 0
    for name in auxiliary_names():
        kind, region, valid, weight = auxiliary_case(name)
        if kind == "balanced_cross_entropy" and len(region) > 1 and "empty" not in name:
            continue
        seen += 1
        score = torch.from_numpy(stored[f"{name}.pred"]).requires_grad_()
        matching = MatchingLoss(tiny_settings(ALL, loss=kind, temperature=1))
        found = matching({"score_map": score}, torch.from_numpy(region), torch.from_numpy(valid))["matching"]
        (weight * found).backward()
        if "empty" in name:
            assert found == 0, "without text there is nothing to learn; the published dice is then a constant 1"
        else:
            # FCENet's dice is over so few cells that a larger constant in the denominator than 1e-6 would show.
            compare(weight * found, stored[f"{name}.loss"], name, atol=0, rtol=1e-6 if "fce.dice" in name else 1e-5)
            largest = float(np.abs(stored[f"{name}.grad"]).max())
            compare(score.grad, stored[f"{name}.grad"], name, atol=1e-5 * largest)
    assert seen >= 40


def test_balanced_loss_of_several_images_has_aligned_shapes() -> None:
    """The published values come from the published mistake; scenetext's are what the same formula gives without it."""
    stored, seen = arrays("aux_losses"), 0
    for name in auxiliary_names():
        kind, region, valid, weight = auxiliary_case(name)
        if kind != "balanced_cross_entropy" or len(region) == 1 or "empty" in name:
            continue
        seen += 1
        region, valid = (torch.from_numpy(each).to(torch.uint8) for each in (region, valid))
        score = torch.from_numpy(stored[f"{name}.pred"])
        logits = F.interpolate(score, region.shape[-2:], mode="bilinear")
        wrong = weight * published_balanced_loss(logits, region, valid)
        compare(wrong, stored[f"{name}.loss"], name, atol=0, rtol=1e-5)
        in_one = [each.flatten(0, 1)[None] for each in (logits[:, 0], region, valid)]
        aligned = published_balanced_loss(in_one[0][:, None], in_one[1], in_one[2])
        found = MatchingLoss(tiny_settings(ALL, temperature=1))({"score_map": score}, region, valid)["matching"]
        torch.testing.assert_close(found, aligned, rtol=1e-5, atol=0)
    assert seen >= 10


def test_position_table_resized_when_it_is_loaded() -> None:
    stored = dict(arrays("pos_embed_resize"))
    source = torch.from_numpy(stored.pop("source.positional_embedding"))
    settings = tiny_settings(ALL).model_copy(update={"width": source.shape[1] // 32})
    for name, expected in stored.items():
        size = int(name.split(".")[0].removeprefix("loaded_"))
        encoder = PooledClipResNet(settings, size // 32, 8, heads=1)
        weights = {f"visual.{key}": value for key, value in encoder.state_dict().items()}
        weights |= {"visual.attnpool.positional_embedding": source, "token_embedding.weight": torch.zeros(49408, 1)}
        load_image_encoder(encoder, WeightFile(Path("golden.pt"), weights, ()))
        compare(encoder.attnpool.positional_embedding, expected, name, atol=1e-6, rtol=0)
    assert len(stored) >= 3
