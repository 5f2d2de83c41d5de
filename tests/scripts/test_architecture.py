"""The figures of oCLIP and TCM are those of the present models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import draw_architecture
from diagram import Diagram
from draw_architecture import FIGURES, Seen, main


@pytest.mark.slow
def test_figures_are_up_to_date_and_show_the_published_sizes() -> None:
    main(["--check"])
    oclip, tcm = ((FIGURES / f"{name}.svg").read_text(encoding="utf-8") for name in ("oclip", "tcm"))
    assert all(text in oclip for text in ("B × 3 × 512 × 512", "B × 257 × 384", "33 × 25 × 64", "B × 32 × 97"))
    assert all(text in tcm for text in ("B × 401 × 1024", "B × 2049 × 20 × 20", "text_encoder, 64 M, frozen"))


def test_a_figure_that_is_not_there_or_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def oclip() -> Diagram:
        return Diagram("a < b", 10, 10)

    monkeypatch.setattr(draw_architecture, "FIGURES", tmp_path)
    monkeypatch.setattr(draw_architecture, "DRAWINGS", (oclip,))
    with pytest.raises(SystemExit, match=r"oclip\.svg: is out of date"):
        main(["--check"])
    main([])
    main(["--check"])
    assert "a &lt; b" in (tmp_path / "oclip.svg").read_text(encoding="utf-8")
    (tmp_path / "oclip.svg").write_text("old", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"oclip\.svg: is out of date"):
        main(["--check"])


def test_shapes_parameters_and_what_is_frozen_are_read_off_the_model() -> None:
    model = nn.Sequential(nn.Linear(1000, 1500), nn.Linear(1500, 2))
    model[1].requires_grad_(False)
    seen = Seen(model, ("0", "1"), torch.zeros(1, 5, 1000))
    assert seen.shape("0") == "B × 5 × 1500"
    assert seen.size("0") == "0, 1.5 M"
    assert seen.size("1") == "1, 0.003 M, frozen"
    assert draw_architecture.shape(seen.result) == "B × 5 × 2"
    assert not model._modules["0"]._forward_hooks, "no hook stays"
