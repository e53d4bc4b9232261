"""LipVoicer: https://github.com/yochaiye/LipVoicer (ICLR 2024), by its script for a video of its own.

A lip reader's text and one frame of the face guide a diffusion model. What the code asks of its surroundings, as read
at commit 7045104:

* one video a start; models are read from the repository's folder, which it must run in;
* it crops the mouth and reads the lips by itself, with RetinaFace: it is given the whole picture;
* the frame that shows the face, and the noise of the diffusion, are drawn without a seed: ``seeded.py`` sets one;
* videos of another rate than 25 fps are converted in place by a shell: they are converted before, and paths are plain;
* it always guides with the recogniser of LRS3, also where ``checkpoint`` is that of LRS2;
* videos of fewer than 12 frames have no mouth crops.

Its script for whole test lists (``inference_full_test_split.py``) reads the real audio and transcripts, and stops at an
option that its configuration does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from baselines.official import run_seeded as seeded
from baselines.official.adapter import OfficialCode
from baselines.official.chunking import Chunk
from baselines.official.overrides import option
from baselines.official.requirements import MissingRequirement, Requirement
from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import copy_silent, iter_frames, video_info, write_video
from f2v_bench.systems.base import SpeakerReference, clip_generator
from f2v_bench.timing import FPS

_SHORTEST = 12  # frames
_SAME_RATE = 0.01  # fps around 25 within which the packets of a video are copied
_QUALITY = 10  # x264's rate factor of a video that is not
_README = "the README of https://github.com/yochaiye/LipVoicer"


class LipVoicer(OfficialCode):
    """LipVoicer with its published weights.

    Settings, beside those of every adapter (but ``batch_size``):
        checkpoint: of the mel generator, from the repository's folder on;
            ``exp/LRS3/wnet_h512_d12_T400_betaT0.02/checkpoint/1000000.pkl``.
        w_video, w_asr, asr_start: guidance by video, by text, and the diffusion step where text begins: 2, 1.5, 270.
    """

    name = "lipvoicer"
    summary = "LipVoicer: diffusion guided by a lip reader, the authors' code"
    url = "https://github.com/yochaiye/LipVoicer"
    license = "MIT; its lip reader and recogniser have their own"
    voices = (SpeakerReference.FACE,)
    spoken: ClassVar[Mapping[str, float]] = {"w_video": 2.0, "w_asr": 1.5, "asr_start": 270.0}
    settings = ("python", "conda", "timeout_s", "checkpoint", *spoken)
    batch_size = 1  # videos that one start of the script takes
    parts = (
        *("inference_real_video.py", "utils.py", "configs", "dataloaders", "models", "hifi_gan", "mouthroi_processing"),
        *("ASR/asr_models.py", "ASR/nnet", "ASR/configs"),
    )

    def needed(self) -> list[Requirement]:
        how = "git clone https://github.com/yochaiye/LipVoicer, and name its folder after the colon"
        files = (
            *("inference_real_video.py", "configs/config.yaml", "hifi_gan/config.json", "ASR/asr_models.py"),
            "mouthroi_processing/crop_and_infer.py",
        )
        return [Requirement(self.repository.folder / file, how) for file in files]

    def weights(self) -> list[Requirement]:
        how = f"run its download_checkpoints.py, or follow the links of {_README}"
        lips = "mouthroi_processing/benchmarks/LRS3"
        files = (
            "ASR/callbacks/LRS23/AO/EffConfCTC/checkpoints_ft_lrs3.ckpt",
            "ASR/callbacks/LRS23/LM/GPT-Small/checkpoints_epoch_10_step_2860.ckpt",
            "ASR/media/tokenizerbpe256.model",
            "ASR/media/tokenizerbpe1024.model",
            "ASR/media/6gram_lrs23.arpa",
            "hifi_gan/g_02400000",
            *(f"{lips}/models/LRS3_V_WER19.1/{file}" for file in ("model.pth", "model.json")),
            *(f"{lips}/language_models/lm_en_subword/{file}" for file in ("model.pth", "model.json")),
        )
        return [
            Requirement(self._checkpoint, how),
            *(Requirement(self.repository.folder / file, how) for file in files),
        ]

    @property
    def _checkpoint(self) -> Path:
        return self.file("checkpoint", "exp/LRS3/wnet_h512_d12_T400_betaT0.02/checkpoint/1000000.pkl")

    def other_lacks(self) -> list[MissingRequirement]:
        modules = (
            *("torch", "torchvision", "hydra", "av", "cv2", "skimage", "soundfile", "sentencepiece", "ctcdecode"),
            *("ibug.face_detection", "ibug.face_alignment"),
        )
        return self.environment.lacks(modules, f"install it as {_README} says", programs=["ffmpeg"])

    def prepare(self, clip: Clip, name: str, folder: Path, seed: int) -> list[Chunk]:
        info = video_info(clip.video)
        if info.frames < _SHORTEST:
            raise ClipFailure(FailureKind.TOO_SHORT, f"{info.frames} frames, and {self.name} takes {_SHORTEST} or more")
        target = folder / "videos" / f"{name}.mp4"
        if abs(info.source_fps - FPS) < _SAME_RATE:
            copy_silent(clip.video, target)
        else:
            frames = iter_frames(clip.video)
            first = next(frames)
            height, width = (size // 2 * 2 for size in first.shape[:2])  # of an even number of pixels, as codecs ask
            write_video(target, (frame[:height, :width] for frame in chain([first], frames)), crf=_QUALITY)
        return [Chunk(clip.id, name, 0, info.frames)]

    def run(self, pieces: Sequence[Chunk], folder: Path, seed: int) -> ClipFailure | None:
        (piece,) = pieces
        video = folder / "videos" / f"{piece.name}.mp4"
        drawn = clip_generator(seed, piece.clip).integers(np.iinfo(np.int32).max)
        words = [
            *(str(Path(seeded.__file__)), str(drawn), str(self.repository.folder / "inference_real_video.py")),
            option("generate.ckpt_path", self._checkpoint),
            option("generate.video_path", video),
            option("generate.save_dir", folder / "speech"),
            *(f"generate.{name}={value:g}" for name, value in self.spoken_values.items()),
            option("hydra.run.dir", folder / "hydra"),
        ]
        return self.call(words, folder, cwd=self.repository.folder)

    def output(self, piece: Chunk, folder: Path) -> Path:
        made = sorted((folder / "speech" / piece.name).glob(f"w1=*/{piece.name}.wav"))
        return made[0] if made else folder / "speech" / f"{piece.name}.wav"
