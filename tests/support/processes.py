"""Runs a test's function in several processes, as torchrun would start them."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from scenetext.distributed import joined_processes


def forkserver() -> Any:
    """The context of processes that start with torch and this package imported, in no time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["pytest", "scenetext.runs.build", "scenetext.distributed", "torch.utils.tensorboard", "torch._dynamo"]
    )
    return context


def in_processes(
    function: Callable[..., Any], count: int, folder: Path, *arguments: Any, timeout: float = 120, device: str = "cpu"
) -> list[Any]:
    """What `function(processes, *arguments)` returned in each of `count` processes, or the exception it raised.

    Args:
        folder: for the results; each of plain data and tensors, or an exception.
        timeout: that processes wait for each other.
        device: of all processes, by which the backend is chosen: gloo, or NCCL for a GPU.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        forkserver().Process(target=_work, args=(rank, count, port, timeout, device, folder, function, arguments))
        for rank in range(count)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(180)
        if process.is_alive():
            process.kill()
            raise AssertionError("a process did not come to its end")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]


def _work(
    rank: int,
    count: int,
    port: int,
    timeout: float,
    device: str,
    folder: Path,
    function: Callable[..., Any],
    arguments: Any,
) -> None:
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    try:
        with joined_processes(torch.device(device), timeout) as processes:
            result = function(processes, *arguments)
    except Exception as error:
        traceback.print_exc()
        result = error
    torch.save(result, folder / f"{rank}.pt")
