"""LipVoicer: https://github.com/yochaiye/LipVoicer (ICLR 2024), by its script for a video of its own.

A diffusion model guided by the text of a lip reader and one frame of the face. Requirements of the code, as read at
commit 7045104:

* one video per start; models are read from the folder of the repository, its working directory;
* it crops the mouth and reads the lips itself, with RetinaFace: its input is the whole picture;
* the frame of the face and the noise of the diffusion are drawn without a seed: ``run_seeded.py`` sets one;
* videos of another rate than 25 fps are converted in place by a shell: they are converted before, with plain paths;
* guidance always uses the recognizer of LRS3, also if ``checkpoint`` is that of LRS2;
* videos of fewer than 12 frames have no mouth crops.

Its script for whole test lists (``inference_full_test_split.py``) reads the real audio and transcripts, and stops at an
option that is missing in its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from baselines.official import run_seeded
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
_SAME_RATE = 0.01  # distance to 25 fps within which the packets of a video are copied
_QUALITY = 10  # rate factor of x264 for converted videos
_README = "the README of https://github.com/yochaiye/LipVoicer"


class LipVoicer(OfficialCode):
    """LipVoicer with its published weights.

    Settings beside those of every adapter (except ``batch_size``):
        checkpoint: weights of the mel generator; a relative path starts at the folder of the repository;
            ``exp/LRS3/wnet_h512_d12_T400_betaT0.02/checkpoint/1000000.pkl``.
        w_video, w_asr, asr_start: guidance by video (2), by text (1.5), and the first diffusion step with text (270).
    """

    name = "lipvoicer"
    summary = "LipVoicer: diffusion guided by a lip reader, code of the authors"
    url = "https://github.com/yochaiye/LipVoicer"
    license = "MIT; its lip reader and recognizer have their own"
    voices = (SpeakerReference.FACE,)
    numeric_settings: ClassVar[Mapping[str, float]] = {"w_video": 2.0, "w_asr": 1.5, "asr_start": 270.0}
    settings = ("python", "conda", "timeout_s", "checkpoint", *numeric_settings)
    batch_size = 1  # videos per start of the script
    parts = (
        *("inference_real_video.py", "utils.py", "configs", "dataloaders", "models", "hifi_gan", "mouthroi_processing"),
        *("ASR/asr_models.py", "ASR/nnet", "ASR/configs"),
    )

    def required_files(self) -> list[Requirement]:
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

    def missing_in_environments(self) -> list[MissingRequirement]:
        modules = (
            *("torch", "torchvision", "hydra", "av", "cv2", "skimage", "soundfile", "sentencepiece", "ctcdecode"),
            *("ibug.face_detection", "ibug.face_alignment"),
        )
        return self.environment.find_missing(modules, f"install it as described in {_README}", programs=["ffmpeg"])

    def prepare(self, clip: Clip, name: str, folder: Path, seed: int) -> list[Chunk]:
        info = video_info(clip.video)
        if info.frames < _SHORTEST:
            raise ClipFailure(
                FailureKind.TOO_SHORT, f"{info.frames} frames, and {self.name} requires {_SHORTEST} or more"
            )
        target = folder / "videos" / f"{name}.mp4"
        if abs(info.source_fps - FPS) < _SAME_RATE:
            copy_silent(clip.video, target)
        else:
            frames = iter_frames(clip.video)
            first = next(frames)
            height, width = (size // 2 * 2 for size in first.shape[:2])  # codecs require an even number of pixels
            write_video(target, (frame[:height, :width] for frame in chain([first], frames)), crf=_QUALITY)
        return [Chunk(clip.id, name, 0, info.frames)]

    def run(self, chunks: Sequence[Chunk], folder: Path, seed: int) -> ClipFailure | None:
        (chunk,) = chunks
        video = folder / "videos" / f"{chunk.name}.mp4"
        process_seed = clip_generator(seed, chunk.clip).integers(np.iinfo(np.int32).max)
        words = [
            *(
                str(Path(run_seeded.__file__)),
                str(process_seed),
                str(self.repository.folder / "inference_real_video.py"),
            ),
            option("generate.ckpt_path", self._checkpoint),
            option("generate.video_path", video),
            option("generate.save_dir", folder / "speech"),
            *(f"generate.{name}={value:g}" for name, value in self.numbers.items()),
            option("hydra.run.dir", folder / "hydra"),
        ]
        return self.call(words, folder, cwd=self.repository.folder)

    def output(self, chunk: Chunk, folder: Path) -> Path:
        made = sorted((folder / "speech" / chunk.name).glob(f"w1=*/{chunk.name}.wav"))
        return made[0] if made else folder / "speech" / f"{chunk.name}.wav"
