"""What TensorBoard shows of a spoken clip: both mels as a picture, and both sounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.signal.mel import HOP, SAMPLE_RATE, log_mel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 3  # clips of a validation


def show_clip(
    loggers: Iterable[Any], step: int, place: int, real: NDArray[np.float32], made: NDArray[np.float32]
) -> None:
    """Show a clip to those of Lightning's loggers that draw.

    Args:
        loggers: of the trainer.
        step: of the training.
        place: of the clip among those shown.
        real: samples ``(n,)`` at 16 kHz.
        made: what stands for them, ``(m,)``.
    """
    from lightning.pytorch.loggers import TensorBoardLogger

    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            frames = min(len(real), len(made)) // HOP
            mels = np.concatenate([log_mel(one, SAMPLE_RATE)[:frames] for one in (real, made)], axis=1).T[::-1]
            picture = (mels - mels.min()) / max(float(np.ptp(mels)), 1e-6)  # (160, T)
            board = logger.experiment
            board.add_image(f"clip{place}/real_below_made", picture.copy(), step, dataformats="HW")
            for name, samples in (("real", real), ("made", made)):
                board.add_audio(f"clip{place}/{name}", samples, step, SAMPLE_RATE)
