"""Serves a page on which an image is dropped: detections and words, or a pre-trained model's attention.

With a detector: what it finds from a score threshold on, all maps of its head and, where TCM guides it, the score map.
With a pre-training, or a published oCLIP checkpoint: where it looks for typed words with a hidden character. By default
only browsers of this machine can open the page. Needs gradio: pip install scenetext[app]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio

EXAMPLES = """\
  scenetext app
  scenetext app outputs/dbnet-scenes-tiny/best.pt
  scenetext app outputs/oclip-words-tiny/best.pt --port 8000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, nargs="?", help="best.pt, or a model file; default: the shipped model")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at; 0.0.0.0: for the whole network")
    parser.add_argument("--port", type=int, default=0, help="0: the first free one from 7860 on")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(arguments: argparse.Namespace) -> None:
    from scenetext.inspection.app import import_gradio, serve

    import_gradio()  # before the model is loaded: without it, there is no page
    blocks = page_of(arguments.checkpoint, arguments.device)
    print(f"page: {serve(blocks, arguments.host, arguments.port)} (Ctrl-C ends it)", flush=True)
    blocks.block_thread()


def page_of(checkpoint: Path | None, device: str) -> gradio.Blocks:
    """The page for a model, by what it is."""
    from scenetext.inference import TextDetector
    from scenetext.inspection.app import attention_app, detection_app
    from scenetext.runs.load import holds_pretraining, load_pretrained
    from scenetext.training.device import resolve_device

    if checkpoint is not None and holds_pretraining(checkpoint):
        task, is_published = load_pretrained(checkpoint)
        target = resolve_device(device)
        return attention_app(task.to(target), target, is_published, str(checkpoint))
    detector = TextDetector.load(checkpoint, device)
    name = "the shipped model" if checkpoint is None else str(checkpoint)
    return detection_app(detector.task, detector.device, detector.task.evaluation.threshold, name)
