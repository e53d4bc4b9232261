"""Intelligible Lip-to-Speech with Speech Units: https://github.com/choijeongsoo/lip2speech-unit (Interspeech 2023).

Two stages: lips and a speaker embedding to a mel spectrogram and speech units; both and the embedding to samples.
Requirements of the code, as read at commit 0c96388:

* the first stage silently drops clips of more than 600 frames: longer ones are split into chunks;
* its batches pad clips, and convolutions carry the padding into their last frames: one clip a batch here, where the
  published script fills 1000 frames;
* mel spectrograms and units must exist although inference uses only their lengths: zeros here. Audio is not read;
* the second stage reads speaker embeddings from ``../datasets/lrs3/spk_emb`` whatever its options: its working
  directory makes that path ours;
* it stops after ten files without ``-n -1``, and exits with 0 if its weights are missing;
* it restarts its eight worker processes forever if they cannot load; ``--debug`` runs one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baselines.official.adapter import SETTINGS, OfficialCode, write_lips
from baselines.official.chunking import Chunk, split_frames
from baselines.official.overrides import option
from baselines.official.requirements import MissingRequirement, Requirement
from f2v_bench.assets import AssetMissing, find_asset, get_asset
from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure
from f2v_bench.signal.mel import N_MELS
from f2v_bench.systems.base import SpeakerReference
from f2v_bench.systems.speaker_reference import pick_reference_clip, reference_audio
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME, SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME, UNITS_PER_VIDEO_FRAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 600  # frames, above which the first stage drops a clip
_ROOT = "datasets/lrs3"  # fixed path of the second stage
_README = "the README of https://github.com/choijeongsoo/lip2speech-unit"
_INSTALL = f"install it as described in {_README}: Python 3.10, pip <= 24.0, torch 1.13.1, fairseq at commit afc77bd"


class SpeechUnits(OfficialCode):
    """lip2speech-unit with its published weights.

    Settings beside those of every adapter; relative paths start at the folder of the repository:
        checkpoint: weights of the first stage; ``checkpoints/lip2speech_lrs3_avhubert_multi.pt``.
        avhubert: weights of its lip encoder, or ``none`` for a first stage without one;
            ``checkpoints/large_vox_iter5.pt``.
        vocoder: weights of the second stage, with ``config.json`` beside it; ``checkpoints/vocoder_lrs3_aug_multi.pt``.
    """

    name = "speech-units"
    summary = "Intelligible Lip-to-Speech Synthesis with Speech Units, code of the authors"
    url = "https://github.com/choijeongsoo/lip2speech-unit"
    license = "AV-HuBERT license (Meta): non-commercial research only"
    needs_faces = True
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)
    settings = (*SETTINGS, "checkpoint", "avhubert", "vocoder")
    parts = ("multi_target_lip2speech", "multi_input_vocoder", "avhubert", "espnet", "speech-resynthesis")
    replaced = frozenset({"video", "pred_unit"})

    def required_files(self) -> list[Requirement]:
        how = "git clone https://github.com/choijeongsoo/lip2speech-unit, and name its folder after the colon"
        files = (
            "multi_target_lip2speech/inference.py",
            "multi_target_lip2speech/conf/decode.yaml",
            "multi_input_vocoder/inference.py",
            "avhubert/hubert_dataset.py",
            "espnet/nets",
            "speech-resynthesis/utils.py",
            f"{_ROOT}/label/dict.unt.txt",
        )
        config = "copy checkpoints/config.json of the repository to the folder of the vocoder weights"
        return [
            *(Requirement(self.repository.folder / file, how) for file in files),
            Requirement(self._vocoder.with_name("config.json"), config),
        ]

    def weights(self) -> list[Requirement]:
        how = f"{_README} links the weights of both stages; put them into its folder 'checkpoints'"
        avhubert = (
            "large_vox_iter5.pt (AV-HuBERT Large, LRS3 + VoxCeleb2): https://facebookresearch.github.io/av_hubert"
        )
        found = [Requirement(self._checkpoint, how), Requirement(self._vocoder, how)]
        return [*found, Requirement(self._avhubert, avhubert)] if self._avhubert else found

    @property
    def _checkpoint(self) -> Path:
        return self.file("checkpoint", "checkpoints/lip2speech_lrs3_avhubert_multi.pt")

    @property
    def _vocoder(self) -> Path:
        return self.file("vocoder", "checkpoints/vocoder_lrs3_aug_multi.pt")

    @property
    def _avhubert(self) -> Path | None:
        without = self.options.settings.get("avhubert") == "none"
        return None if without else self.file("avhubert", "checkpoints/large_vox_iter5.pt")

    def missing_in_environments(self) -> list[MissingRequirement]:
        modules = ("torch", "torchvision", "fairseq", "hydra", "cv2", "librosa", "python_speech_features")
        # fairseq of that commit, and its version of Hydra, cannot be imported by Python 3.11
        absent = self.environment.find_missing(modules, _INSTALL, python_path=[self._fairseq], newest=(3, 10))
        if find_asset("ge2e") is None:
            asset = AssetMissing(get_asset("ge2e"))
            absent.append(MissingRequirement(asset.what, asset.do))
        return absent

    @property
    def _fairseq(self) -> Path:
        return self.repository.folder / "fairseq"

    def prepare(self, clip: Clip, name: str, folder: Path, seed: int) -> list[Chunk]:
        from f2v_bench.face.crops import face_crops
        from f2v_bench.nn.encoders.pretrained import speaker_encoder

        lips = face_crops(clip.video, landmarks=self.options.landmarks).lips
        embedding = speaker_encoder().embed([reference_audio(self._embedding_clip(clip, seed), SAMPLE_RATE)])[0]
        chunks = split_frames(clip.id, f"test/{name}", len(lips), LONGEST)
        for chunk in chunks:
            write_lips(folder / _ROOT / "video" / f"{chunk.name}.mp4", lips[chunk.first : chunk.end])
            _save(
                folder / _ROOT / "mel" / f"{chunk.name}.npy",
                np.zeros((MEL_FRAMES_PER_VIDEO_FRAME * chunk.frames, N_MELS), np.float32),
            )
            _save(folder / _ROOT / "spk_emb" / f"{chunk.name}.npy", embedding)
        return chunks

    def _embedding_clip(self, clip: Clip, seed: int) -> Clip:
        """Return the clip of the speaker embedding."""
        own = self.speaker_reference is SpeakerReference.SAME_CLIP
        return clip if own else pick_reference_clip(self.options.clips, clip, seed)

    def run(self, chunks: Sequence[Chunk], folder: Path, seed: int) -> ClipFailure | None:
        self._write_labels(chunks, folder)
        first = self._lips_to_units(folder)
        ready = [chunk for chunk in chunks if _complete(chunk, folder)]
        second = self._units_to_speech(folder) if ready else None
        return first or second

    def _write_labels(self, chunks: Sequence[Chunk], folder: Path) -> None:
        label = folder / _ROOT / "label"
        label.mkdir(parents=True)
        rows = [
            (
                one.name,
                f"video/{one.name}.mp4",
                f"audio/{one.name}.wav",
                str(one.frames),
                str(SAMPLES_PER_VIDEO_FRAME * one.frames),
            )
            for one in chunks
        ]
        lines = [str(folder / _ROOT), *("\t".join(row) for row in rows)]
        (label / "test.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        units = [" ".join(["0"] * (UNITS_PER_VIDEO_FRAME * one.frames)) for one in chunks]
        (label / "test.unt").write_text("".join(f"{line}\n" for line in units), encoding="utf-8")
        known = self.repository.folder / _ROOT / "label/dict.unt.txt"
        (label / known.name).write_bytes(known.read_bytes())

    def _lips_to_units(self, folder: Path) -> ClipFailure | None:
        home = self.repository.folder / "multi_target_lip2speech"
        label = folder / _ROOT / "label"
        words = [
            *("-B", str(home / "inference.py"), "--config-dir", str(home / "conf"), "--config-name", "decode"),
            option("hydra.run.dir", folder / "hydra"),
            option("common.user_dir", home),
            option("common_eval.path", self._checkpoint),
            option("common_eval.results_path", folder / "results"),
            *([option("override.w2v_path", self._avhubert)] if self._avhubert else []),
            option("override.label_dir", label),
            option("override.data", label),
            "dataset.batch_size=1",
        ]
        return self.call(words, folder, python_path=[self._fairseq])

    def _units_to_speech(self, folder: Path) -> ClipFailure | None:
        script = self.repository.folder / "multi_input_vocoder/inference.py"
        results = folder / "results"
        cwd = folder / "vocoder"  # beside datasets/
        cwd.mkdir()
        words = [
            *("-B", str(script), "--code_file", str(results / "pred_unit"), "--output_dir", str(results)),
            *("--checkpoint_file", str(self._vocoder), "--debug", "-n", "-1"),
        ]
        return self.call(words, folder, cwd=cwd)

    def output(self, chunk: Chunk, folder: Path) -> Path:
        return folder / "results/pred_wav" / f"{chunk.name}.wav"

    def fingerprint(self, clip: Clip, seed: int) -> str:
        known = super().fingerprint(clip, seed)
        if self.speaker_reference is SpeakerReference.SAME_CLIP:
            return known
        try:
            return f"{known}:{self._embedding_clip(clip, seed).id}"
        except ClipFailure as failure:
            return f"{known}:{failure.kind}"


def _complete(chunk: Chunk, folder: Path) -> bool:
    """Return whether the first stage finished a chunk; remove partial output, which would end the second stage."""
    units = folder / "results/pred_unit" / f"{chunk.name}.txt"
    mel = folder / "results/pred_mel" / f"{chunk.name}.npy"
    try:
        found = units.read_text(encoding="utf-8").split()
        shape = np.load(mel, allow_pickle=False).shape
    except (OSError, ValueError):  # missing, truncated, or no array
        found, shape = [], ()
    if len(found) == UNITS_PER_VIDEO_FRAME * chunk.frames and shape == (
        MEL_FRAMES_PER_VIDEO_FRAME * chunk.frames,
        N_MELS,
    ):
        return True
    units.unlink(missing_ok=True)
    return False


def _save(path: Path, array: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, allow_pickle=False)
