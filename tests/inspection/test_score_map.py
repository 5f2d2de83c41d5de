"""What is drawn of a detector with TCM, and the command that draws it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from command_process import run_tool
from scenetext.data.records.images import write_image
from scenetext.errors import ConfigError
from scenetext.inspection.predictions import examine
from scenetext.inspection.score_map import guidance_panels, guidance_sheet, text_guidance
from scenetext.runs.build import build_task
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.tasks.detection import DetectionTask
from scenetext.training.checkpoint import save_checkpoint

CPU = torch.device("cpu")
SMALL = ("encoder.width=4", "encoder.pool_heads=4", "evaluation_transform.long_side=96", "detector.level_channels=8")
IMAGE = np.random.default_rng(0).integers(0, 256, (50, 100, 3), np.uint8)


def detector(*overrides: str) -> tuple[DetectionTask, dict[str, object]]:
    run = load_run(["dbnet", "scenes", "tcm", "tiny", *SMALL, *overrides], DetectionRun)
    task = build_task(run)
    assert isinstance(task, DetectionTask)
    return task, {"kind": "detection", "config": run.model_dump(mode="json"), "model": task.state_dict(), "step": 1}


def test_maps_cover_the_image_and_no_padding() -> None:
    task, _ = detector('encoder.prompts=["text.", "letters."]', 'encoder.background_prompts=["walls."]')
    guidance = text_guidance(task, IMAGE, CPU)
    assert list(guidance.scores) == ["text.", "letters.", "walls."]
    assert guidance.visual_prompt is not None
    for heat in (*guidance.scores.values(), guidance.embedding, guidance.visual_prompt):
        assert heat.shape == (2, 3), "96 x 48 pixels"
        assert np.isfinite(heat).all()
    panels = guidance_panels(IMAGE, guidance)
    assert [title.split(",")[0] for title in panels] == ["score map"] * 3 + ["image embedding I", "visual prompt"]
    assert all(panel.shape == IMAGE.shape for panel in panels.values())
    assert guidance_sheet(IMAGE, guidance).shape[1] > 800


def test_the_page_of_a_detector_shows_them_after_the_maps_of_its_head() -> None:
    task, _ = detector()
    _, panels = examine(task, IMAGE, CPU)
    titles = [title for title, _ in panels]
    assert titles[0].startswith("probability")
    assert [title.split(",")[0] for title in titles[-3:]] == ["score map", "image embedding I", "visual prompt"]
    assert panels[-1][1].shape == IMAGE.shape


def test_model_without_visual_prompt_or_words_has_fewer_maps() -> None:
    task, _ = detector("encoder.prompts=[]", "encoder.visual_prompt=false")
    guidance = text_guidance(task, IMAGE, CPU)
    assert list(guidance.scores) == ["learnt prompt"]
    assert guidance.visual_prompt is None
    assert len(guidance_panels(IMAGE, guidance)) == 2


def test_detector_without_tcm_is_refused() -> None:
    run = load_run(["dbnet", "scenes", "tiny"], DetectionRun)
    task = build_task(run)
    assert isinstance(task, DetectionTask)
    with pytest.raises(ConfigError, match="trained without TCM"):
        text_guidance(task, IMAGE, CPU)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_tool("attention", "--kind", "tcm", *arguments, "--device", "cpu")


def test_command_writes_a_sheet_and_a_file_per_map(tmp_path: Path) -> None:
    _, content = detector()
    save_checkpoint(tmp_path / "best.pt", content)
    write_image(tmp_path / "sign.png", IMAGE)
    done = command(tmp_path / "best.pt", tmp_path / "sign.png", "--output", tmp_path / "pictures")
    assert done.returncode == 0, done.stderr
    names = ("guidance", "image_embedding", "score_map_1", "visual_prompt")
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*.jpg")) == [f"sign_{name}.jpg" for name in names]
    assert cv2.imread(str(tmp_path / "pictures" / "sign_score_map_1.jpg")).shape == IMAGE.shape
    refused = command(tmp_path / "best.pt", tmp_path / "sign.png", "ST LING")
    assert refused.returncode == 2
    assert "--kind tcm takes no words" in refused.stderr
