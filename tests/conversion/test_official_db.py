"""A DBNet under the names of its official code computes the same after conversion."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from scenetext.conversion.detectors import convert_from_mmocr_detector, published_normalization
from scenetext.conversion.encoders import convert_backbone
from scenetext.runs.encoders import build_encoder
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.weights.files import read_weights
from scenetext.weights.image_encoder import load_image_encoder

MEAN_BGR = torch.tensor([122.67891434, 116.66876762, 104.00698793]).view(3, 1, 1)


class SegDetector(nn.Module):
    """The official decoder, written from its layout: the pyramid is joined coarsest first."""

    def __init__(self, inner: int = 256) -> None:
        super().__init__()
        for level, channels in zip((5, 4, 3, 2), (512, 256, 128, 64), strict=True):
            setattr(self, f"in{level}", nn.Conv2d(channels, inner, 1, bias=False))
            smooth = nn.Conv2d(inner, inner // 4, 3, padding=1, bias=False)
            enlarged = nn.Sequential(smooth, nn.Upsample(scale_factor=2 ** (level - 2), mode="nearest"))
            setattr(self, f"out{level}", enlarged if level > 2 else smooth)
        self.binarize, self.thresh = self.branch(inner), self.branch(inner)

    def branch(self, inner: int) -> nn.Sequential:
        width = inner // 4
        return nn.Sequential(
            *(nn.Conv2d(inner, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.ConvTranspose2d(width, width, 2, 2), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.ConvTranspose2d(width, 1, 2, 2), nn.Sigmoid()),
        )

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        summed = {level: getattr(self, f"in{level}")(each) for level, each in zip((2, 3, 4, 5), levels, strict=True)}
        for level in (4, 3, 2):
            summed[level] = summed[level] + F.interpolate(summed[level + 1], scale_factor=2, mode="nearest")
        fused = torch.cat([getattr(self, f"out{level}")(summed[level]) for level in (5, 4, 3, 2)], 1)
        return self.binarize(fused), self.thresh(fused)


def test_the_official_network_computes_the_same_after_conversion(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone, decoder = resnet18().eval(), SegDetector().eval()
    for module in (*backbone.modules(), *decoder.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
    names = {f"model.module.backbone.{name}": value for name, value in backbone.state_dict().items()}
    names |= {f"model.module.decoder.{name}": value for name, value in decoder.state_dict().items()}
    torch.save({"epoch": 3, "model": names}, tmp_path / "official.pth")

    words = [*published_normalization(tmp_path / "official.pth"), "dbnet", "icdar2015", "resnet18"]
    run = load_run(words, DetectionRun)
    done = convert_from_mmocr_detector(tmp_path / "official.pth", tmp_path / "own.pt", run)
    assert str(done).startswith("a DBNet of the official code, as dbnet on resnet")
    around = "around the weights, removed: model, module, model."
    assert around in str(done)
    assert around in str(convert_backbone(tmp_path / "official.pth", tmp_path / "backbone.safetensors"))

    images = torch.randint(0, 256, (1, 3, 64, 96)).float()
    with torch.no_grad():
        feature = backbone.maxpool(backbone.relu(backbone.bn1(backbone.conv1((images.flip(1) - MEAN_BGR) / 255))))
        levels = []
        for stage in (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4):
            feature = stage(feature)
            levels.append(feature)
        expected = decoder(levels)
        encoder = build_encoder(run.encoder).eval()
        remarks = load_image_encoder(encoder, read_weights(tmp_path / "official.pth"))
        statistics = (torch.tensor(each).view(3, 1, 1) for each in (encoder.pixel_mean, encoder.pixel_std))
        mean, deviation = statistics
        for own, level in zip(encoder((images / 255 - mean) / deviation).levels, levels, strict=True):
            torch.testing.assert_close(own, level, rtol=1e-4, atol=1e-4)
        assert any("it read blue, green, red in the file" in remark for remark in remarks)
        assert not any("these weights were trained with" in remark for remark in remarks), "the run has its statistics"
        task, _, _ = load_trained_task(tmp_path / "own.pt", DETECTION)
        task.eval()
        statistics = (torch.tensor(each).view(3, 1, 1) for each in (task.encoder.pixel_mean, task.encoder.pixel_std))
        mean, deviation = statistics
        maps = task.head(task.encoder((images / 255 - mean) / deviation))
    for map_name, wanted in zip(("probability", "threshold"), expected, strict=True):
        torch.testing.assert_close(maps[map_name].sigmoid(), wanted[:, 0], rtol=1e-4, atol=1e-5)
