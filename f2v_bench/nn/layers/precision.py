"""Full float32 on every device: what a metric's number rests on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reference_precision() -> Iterator[None]:
    """No gradients, no TensorFloat-32, no autotuning: a score must not depend on the graphics card's shortcuts.

    TensorFloat-32 keeps 10 bits of the mantissa, and PyTorch uses it for convolutions unless told.
    """
    import torch

    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        matmul.allow_tf32 = before
