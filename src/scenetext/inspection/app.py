"""Pages on which an image is dropped and looked at with a trained model; they need gradio (extra `app`)."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from scenetext.drawing.detections import draw_detections, enlarged
from scenetext.errors import ConfigError, ScenetextError
from scenetext.inspection.attention import attend, titled_panels
from scenetext.inspection.predictions import examine
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.structures import Detection
from scenetext.tasks.detection import DetectionTask

if TYPE_CHECKING:
    import gradio

MAP_COLUMNS = 3
Result = TypeVar("Result")
Found = Sequence[Detection]


def import_gradio() -> Any:
    """gradio, with its reports about its use turned off.

    Raises:
        ConfigError: it is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError:
        raise ConfigError("the page needs gradio; install it with: pip install scenetext[app]") from None
    return gradio


def detection_app(task: DetectionTask, device: torch.device, threshold: float, name: str) -> gradio.Blocks:
    """A page for a detector: detections and words from a score threshold on, and all maps.

    The network sees an image once; moving the threshold draws again what it found.

    Args:
        task: with trained weights, on `device`.
        threshold: that the slider starts at.
        name: of the model, for its heading.

    Raises:
        ConfigError: gradio is not installed.
    """
    ui = import_gradio()

    def look(image: np.ndarray | None, least: float) -> tuple[Any, ...]:
        if image is None:
            return (None, *show(None, None, least), [])
        found, panels = _or_message(lambda: examine(task, image, device))
        return (found, *show(image, found, least), [(picture, title) for title, picture in panels])

    def show(image: np.ndarray | None, found: Found | None, least: float) -> tuple[Any, ...]:
        if image is None or found is None:
            return None, "", []
        return described(image, found, least)

    with ui.Blocks(title="scenetext", analytics_enabled=False) as blocks:
        ui.Markdown(f"# Text in images\n{_as_code(name)}: drop an image, and move the threshold.")
        found = ui.State(None)
        with ui.Row():
            image = ui.Image(type="numpy", label="Image", sources=["upload", "clipboard"])
            with ui.Column():
                drawn = ui.Image(label="Detections", interactive=False, format="png", **_without_sharing(ui.Image))
                least = ui.Slider(0, 1, value=threshold, step=0.01, label="Score threshold", elem_id="threshold")
                count = ui.Markdown(elem_id="count")
        table = ui.Dataframe(headers=["text", "score", "score of the text"], label="Texts", interactive=False)
        maps = ui.Gallery(
            label="Maps", columns=MAP_COLUMNS, object_fit="contain", elem_id="maps", **_without_sharing(ui.Gallery)
        )
        image.change(look, [image, least], [found, drawn, count, table, maps], api_name=False)
        least.change(
            show, [image, found, least], [drawn, count, table], trigger_mode="always_last", show_progress="hidden"
        )
    return blocks


def described(image: np.ndarray, found: Found, least: float) -> tuple[np.ndarray, str, list[list[str | float | None]]]:
    """Detections from a score on: drawn, counted, and in rows of text, score and score of the text."""
    chosen = [one for one in found if one.score >= least]
    rows: list[list[str | float | None]] = [
        [one.text, round(one.score, 3), None if one.text_score is None else round(one.text_score, 3)] for one in chosen
    ]
    texts = "text" if len(chosen) == 1 else "texts"
    count = f"**{len(chosen)} {texts}** with a score of {least:g} or more, of {len(found)} detected"
    return draw_detections(*enlarged(image, chosen)), count, rows


def attention_app(task: OclipTask, device: torch.device, as_published: bool, name: str) -> gradio.Blocks:
    """A page for a pre-trained model: where it looks in an image, for typed words with a hidden character.

    Args:
        task: with trained weights, on `device`.
        as_published: as of `attend`.
        name: of the model, for its heading.

    Raises:
        ConfigError: gradio is not installed.
    """
    ui = import_gradio()

    def look(image: np.ndarray | None, typed: str) -> tuple[list[tuple[np.ndarray, str]], str]:
        if image is None:
            return [], ""
        words = [line for line in typed.splitlines() if line.strip()]
        attention = _or_message(lambda: attend(task, image, words, device, as_published))
        titles = ["the whole image", *map(str, attention.words)]
        return list(zip(titled_panels(image, attention), titles, strict=True)), "\n".join(map(str, attention.words))

    with ui.Blocks(title="scenetext", analytics_enabled=False) as blocks:
        ui.Markdown(
            f"# Where a pre-trained model looks\n{_as_code(name)}: drop an image, and type words of it, one a line, "
            "with a blank in place of one character: `ST LING`"
        )
        with ui.Row():
            image = ui.Image(type="numpy", label="Image", sources=["upload", "clipboard"])
            with ui.Column():
                typed = ui.Textbox(label="Words", lines=4, placeholder="ST LING", elem_id="words")
                button = ui.Button("Look", variant="primary", elem_id="look")
                read = ui.Textbox(label="Characters that it reads", interactive=False, lines=4, elem_id="read")
        maps = ui.Gallery(
            label="Attention", columns=MAP_COLUMNS, object_fit="contain", elem_id="maps", **_without_sharing(ui.Gallery)
        )
        for event in (image.change, button.click):
            event(look, [image, typed], [maps, read], api_name=False)
    return blocks


def serve(blocks: gradio.Blocks, host: str, port: int) -> str:
    """Serves a page from this machine, in the background, until it is closed; nothing is sent anywhere else.

    Args:
        port: 0 = the first free one from 7860 on.

    Returns:
        Its address.

    Raises:
        ConfigError: the port is taken.
    """
    try:
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port or None,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise ConfigError(f"the page cannot be served at {host}, port {port}: {error}") from None
    return str(address)


def _without_sharing(component: Any) -> dict[str, Any]:
    """Settings of an image or gallery that leave out the button which sends it to Hugging Face."""
    named = "buttons" in inspect.signature(component.__init__).parameters  # from gradio 6 on
    return {"buttons": ["download", "fullscreen"]} if named else {"show_share_button": False}


def _or_message(work: Callable[[], Result]) -> Result:
    """Its result; what a user can correct is a message on the page."""
    try:
        return work()
    except ScenetextError as error:
        raise import_gradio().Error(str(error), print_exception=False) from error


def _as_code(text: str) -> str:
    """Text that Markdown shows as it is."""
    return f"`{text.replace('`', '')}`"
