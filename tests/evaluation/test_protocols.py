"""Named rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from scenetext.errors import ConfigError
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.named_rules import PROTOCOLS, find_protocol
from scenetext.evaluation.report import format_sweep, sweep_report
from scenetext.evaluation.rules import IouProtocol


def test_icdar_2015_is_the_rule_of_the_organisers() -> None:
    rule = find_protocol("ic15")
    assert (rule.iou_threshold, rule.strict, rule.ignore_threshold, rule.matching) == (0.5, True, 0.5, "greedy")
    assert rule.rule().startswith("IoU > 0.5, greedy one-to-one matching")


def test_every_rule_knows_its_name() -> None:
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())


def test_every_rule_is_on_the_page(repository: Path) -> None:
    page = (repository / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert [name for name in PROTOCOLS if f"`{name}`" not in page] == []


def test_every_rule_says_whose_numbers_it_stands_for() -> None:
    assert all(protocol.used_by for protocol in PROTOCOLS.values())


def test_a_name_that_had_another_meaning_says_so_in_every_report() -> None:
    changed = {"ic13_deteval", "totaltext_deteval", "totaltext_deteval_textbpn", "ic15_db"}
    assert {name for name, protocol in PROTOCOLS.items() if protocol.note} == changed
    scores = DetectionEvaluator(PROTOCOLS["ic13_deteval"]).scores()
    assert "Note: Until November 2026 this name stood for another rule, which is ic13_mmocr now." in format_sweep(
        scores
    )
    assert "ic13_mmocr" in sweep_report(scores)["protocol"]["note"]


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'icd15' is unknown; did you mean ic15"):
        find_protocol("icd15")


@pytest.mark.parametrize("values", [{"iou_threshold": 0}, {"iou_threshold": 1.1}, {"matching": "best"}, {"speed": 1}])
def test_impossible_rules_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        IouProtocol.model_validate({"name": "mine", **values})


def test_rules_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROTOCOLS["mine"] = IouProtocol(name="mine")  # type: ignore[index]
    with pytest.raises(ValidationError):
        PROTOCOLS["ic15"].iou_threshold = 0.7
