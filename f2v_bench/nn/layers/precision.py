"""Full float32 precision on every device, for metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reference_precision() -> Iterator[None]:
    """Disable gradients, TensorFloat-32 and autotuning, so that scores do not depend on the GPU.

    TensorFloat-32 keeps 10 bits of the mantissa, and PyTorch uses it for convolutions by default.
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
