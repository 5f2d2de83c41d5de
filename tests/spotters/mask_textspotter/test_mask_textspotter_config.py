"""Settings of Mask TextSpotter: alphabets that fit, and runs that do not mirror what is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from scenetext.errors import ConfigError
from scenetext.runs.kinds import build_detection_task, read_characters
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"alphabet": ""}, "the dictionary is empty"),
        ({"alphabet": "aba"}, "repeats 'a'"),
        ({"alphabet": "a b"}, "is blank"),
        ({"alphabet": "aB"}, "has capital letters, which are never read with fold_case"),
        (
            {"alphabet": "".join(map(chr, range(0x4E00, 0x4E70)))},
            r"masks\.character_maps makes a map for each of the 112",
        ),
    ],
)
def test_alphabets_that_do_not_fit_are_refused(values: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        MaskTextSpotterSettings.model_validate(values)


def test_a_large_alphabet_is_read_by_attention_alone() -> None:
    settings = MaskTextSpotterSettings(
        alphabet="".join(map(chr, range(0x4E00, 0x5E00))), masks={"character_maps": False}
    )
    assert len(settings.characters) == 4096


WORDS = ["mask_textspotter", "totaltext", "resnet18"]


def test_its_recipe_is_complete_and_never_mirrors() -> None:
    for words in (
        WORDS,
        ["mask_textspotter", "icdar2015", "tiny", "overfit"],
        ["mask_textspotter", "synthtext", "oclip"],
    ):
        run = load_run(words, DetectionRun)
        assert run.transform.horizontal_flip == 0
        assert run.evaluation.protocol == "ic15_end_to_end"


@pytest.mark.parametrize("setting", ["transform.horizontal_flip=0.5", "evaluation.flip=true"])
def test_mirroring_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="mask_textspotter cannot read mirrored images"):
        load_run([*WORDS, setting], DetectionRun)


def test_a_second_reader_is_refused() -> None:
    with pytest.raises(ConfigError, match="mask_textspotter reads by itself"):
        load_run([*WORDS, "reader"], DetectionRun)


def test_the_alphabet_of_a_file_is_part_of_the_model(tmp_path: Path) -> None:
    """A checkpoint holds the characters; with them, the file is not read again."""
    file = tmp_path / "characters.txt"
    file.write_text("字\n牌\nA\na\n", encoding="utf-8")
    words = ["mask_textspotter", "totaltext", "tiny", f"detector.alphabet_file={file}"]
    with pytest.raises(ConfigError, match="capital letters, which are never read with fold_case"):
        build_detection_task(load_run(words, DetectionRun))
    run = load_run([*words, "detector.fold_case=false"], DetectionRun)
    characters = read_characters(run)
    file.unlink()
    assert characters is not None
    with torch.device("meta"):
        task = build_detection_task(run, characters)
    assert (task.config.alphabet, task.config.alphabet_file) == ("字牌Aa", None)
    assert "".join(task.config.characters.characters) == "字牌Aa"
