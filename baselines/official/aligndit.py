"""AlignDiT: https://github.com/kaistmm/AlignDiT (ACM MM 2025), by its script for video-to-speech.

A diffusion transformer continues the speech of a reference, conditioned on AV-HuBERT features of the lips and,
optionally, on the text of a lip reader. Requirements of the code, as read at commit 8b4abc5:

* every path is fixed, relative to the folder of ``src``: ``src`` is copied beside a tree of links and our clips;
* features are extracted beforehand by fairseq and AV-HuBERT, whose version of Hydra conflicts with its own: hence the
  settings ``features_python`` and ``features_conda``;
* mel spectrograms of references are extracted beforehand too: those that it computes itself are transposed;
* inputs from the reference are audio and text, and only the number of its features: zeros here. Inputs from the target
  are features and text, and only the length of its audio: silence here;
* reference and target together last 1 to 40 s, or the script ends before the first clip: references are cut to 15 s,
  and targets of more than 600 frames are split into chunks;
* names of talks have no underscore, because lines of its list are ``<talk>_<reference>_<target>``: ours are numbers.

The reference is that of the list of pairs of the repository if the clip is a target in it, else another clip of the
speaker, drawn by seed and clip.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from baselines.official.adapter import SETTINGS, OfficialCode, write_lips
from baselines.official.chunking import Chunk, split_frames
from baselines.official.environment import Environment
from baselines.official.requirements import MissingRequirement, Requirement
from f2v_bench.clip import Clip, Waveform
from f2v_bench.datasets.lists import read_list
from f2v_bench.datasets.lrs import PAIR
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import write_audio
from f2v_bench.signal.mel import N_MELS
from f2v_bench.systems.base import SpeakerReference
from f2v_bench.systems.speaker_reference import pick_reference_clip, reference_audio
from f2v_bench.timing import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME

LONGEST = 600  # frames of a chunk
LONGEST_REFERENCE = 375  # frames
SHORTEST = 25  # frames of reference and target together
SHORTEST_REFERENCE = 8  # frames
_WIDTH = 1024  # channels of AV-HuBERT Large
_VOICE = "voice"  # file stem of a reference
_STEPS = 400_000  # steps of the published weights, part of a file name
_TREE = "data/LRS3_debug/autoavsr"
_FEATURES = "avhubert_video_feat"
_MELS = "mel_tacotron"
_PAIRS = "data/lrs3_test_cross_sentence.lst"
_HIFIGAN = "ckpts/hifigan_16k_LRS3"
_AVHUBERT = "ckpts/av_hubert/lrs3_vox/clean-pretrain/large_vox_iter5.pt"
_CHECKPOINT = f"ckpts/AlignDiT_finetune_hifigan_16k_LRS3_char/model_{_STEPS}.pt"
_VOCABULARY = "data/LRS3_char/vocab.txt"
_README = "the README of https://github.com/kaistmm/AlignDiT"
#: folders of the repository: text of targets by a lip reader, text of references by a recognizer
_TEXTS = ("text_autoavsr_vsr", "text_autoavsr_asr")


class AlignDiT(OfficialCode):
    """AlignDiT with its published weights.

    Settings beside those of every adapter; relative paths start at the folder of the repository:
        checkpoint: weights; ``ckpts/AlignDiT_finetune_hifigan_16k_LRS3_char/model_400000.pt``.
        avhubert: weights of AV-HuBERT; ``ckpts/av_hubert/lrs3_vox/clean-pretrain/large_vox_iter5.pt``.
        av_hubert, fairseq: folders of the two repositories; ``../av_hubert`` and ``../fairseq``.
        features_python, features_conda: environment that extracts features; the first one by default.
        texts: folder with ``text_autoavsr_vsr/<clip id>.txt``, the output of a lip reader, and
            ``text_autoavsr_asr/<clip id>.txt``, the output of a recognizer on references. Without it there is no
            guidance by text, for which the authors advise fine-tuning.
        nfe, cfg_t, cfg_v: number of steps, guidance by text, guidance by video: 32, 5, 2.
    """

    name = "aligndit"
    summary = "AlignDiT: diffusion transformer with the voice of a speech reference, code of the authors"
    url = "https://github.com/kaistmm/AlignDiT"
    license = "MIT; weights of AV-HuBERT are for non-commercial research only"
    needs_faces = True
    voices = (SpeakerReference.OTHER_CLIP,)
    numeric_settings: ClassVar[Mapping[str, float]] = {"nfe": 32.0, "cfg_t": 5.0, "cfg_v": 2.0}
    settings = (
        *(*SETTINGS, "checkpoint", "avhubert", "av_hubert", "fairseq", "features_python", "features_conda", "texts"),
        *numeric_settings,
    )
    parts = ("src/aligndit", "src/f5_tts", "src/cosyvoice", "src/gslm", _VOCABULARY, f"{_HIFIGAN}/config.json")
    replaced = frozenset({"audio"})

    @cached_property
    def _features(self) -> Environment:
        """Environment that extracts features."""
        has_own = any(f"features_{kind}" in self.options.settings for kind in ("python", "conda"))
        return Environment.of(self.name, self.options.settings, "features_") if has_own else self.environment

    @property
    def texts(self) -> Path | None:
        """Folder of texts; None without guidance by text."""
        named = self.options.settings.get("texts")
        return Path(named).expanduser() if named else None

    def required_files(self) -> list[Requirement]:
        how = "git clone https://github.com/kaistmm/AlignDiT, and name its folder after the colon"
        scripts = "src/aligndit/script"
        extractors = (f"{scripts}/misc/extract_mel.py", f"{scripts}/misc/extract_avhubert_from_only_video.py")
        files = (f"{scripts}/eval/infer.py", *extractors, _PAIRS, _VOCABULARY)
        lips = "git clone https://github.com/facebookresearch/av_hubert beside it, or --set LABEL.av_hubert=FOLDER"
        toolkit = "git clone https://github.com/facebookresearch/fairseq beside it, or --set LABEL.fairseq=FOLDER"
        texts = [self.texts / name for name in _TEXTS] if self.texts else []
        return [
            *(Requirement(self.repository.folder / file, how) for file in (*files, f"{_HIFIGAN}/config.json")),
            Requirement(self._av_hubert / "hubert.py", lips),
            Requirement(self._fairseq / "fairseq", toolkit),
            *(Requirement(path, "put the texts of a lip reader there, or omit 'texts'") for path in texts),
        ]

    def weights(self) -> list[Requirement]:
        how = f"{_README} links the weights; a file url.txt in each folder of 'ckpts' has the address"
        files = (self._checkpoint, self.repository.folder / _HIFIGAN / "g_01000000", self.file("avhubert", _AVHUBERT))
        return [Requirement(file, how) for file in files]

    @property
    def _checkpoint(self) -> Path:
        return self.file("checkpoint", _CHECKPOINT)

    @property
    def _av_hubert(self) -> Path:
        return self.file("av_hubert", "../av_hubert") / "avhubert"

    @property
    def _fairseq(self) -> Path:
        return self.file("fairseq", "../fairseq")

    def missing_in_environments(self) -> list[MissingRequirement]:
        install = f"install it as described in {_README}: Python 3.10, torch 2.4.1, pip install -e ."
        modules = ("torch", "torchaudio", "accelerate", "hydra", "omegaconf", "torchdiffeq", "x_transformers")
        extract = "install fairseq and AV-HuBERT's requirements, there or in an environment named by features_python"
        extraction = self._features.find_missing(
            ("torch", "fairseq", "cv2", "tqdm"), extract, python_path=[self._fairseq]
        )
        return [*self.environment.find_missing(modules, install), *extraction]

    def prepare(self, clip: Clip, name: str, folder: Path, seed: int) -> list[Chunk]:
        from f2v_bench.face.crops import face_crops

        other = self.reference(clip, seed)
        speech = reference_audio(other, SAMPLE_RATE)[: SAMPLES_PER_VIDEO_FRAME * LONGEST_REFERENCE]
        lips = face_crops(clip.video, landmarks=self.options.landmarks).lips
        frames = len(speech) // SAMPLES_PER_VIDEO_FRAME
        if frames < SHORTEST_REFERENCE or frames + len(lips) < SHORTEST:
            raise ClipFailure(
                FailureKind.TOO_SHORT,
                f"{len(lips)} frames after a reference of {frames}; {self.name} requires {SHORTEST} or more together",
            )
        chunks = split_frames(clip.id, f"test/{name}", len(lips), LONGEST)
        tree = folder / _TREE
        write_audio(tree / "audio/test" / name / f"{_VOICE}.wav", Waveform(speech, SAMPLE_RATE))
        features = tree / _FEATURES / "test" / name / f"{_VOICE}.npy"
        features.parent.mkdir(parents=True)
        np.save(features, np.zeros((frames, _WIDTH), np.float32), allow_pickle=False)
        self._write_text(tree, 1, f"test/{name}/{_VOICE}", other)
        for chunk in chunks:
            write_lips(tree / "video" / f"{chunk.name}.mp4", lips[chunk.first : chunk.end])
            silence = Waveform(np.zeros(SAMPLES_PER_VIDEO_FRAME * chunk.frames, np.float32), SAMPLE_RATE)
            write_audio(tree / "audio" / f"{chunk.name}.wav", silence)
            self._write_text(tree, 0, chunk.name, clip)
        return chunks

    def reference(self, clip: Clip, seed: int) -> Clip:
        """Return the reference clip for the voice of a clip.

        Raises:
            ClipFailure: ``no_other_clip``, ``file_missing``.
        """
        known = self._pairs.get("/".join(clip.id.split("/")[-2:]))
        if known is None:
            return pick_reference_clip(self.options.clips, clip, seed)
        wanted = "/".join([*clip.id.split("/")[:-1], known])
        listed = next((one for one in self.options.clips if one.id == wanted), None)
        if listed is not None:  # a list of targets alone omits the references
            return listed
        audio = clip.audio.with_stem(known) if clip.audio is not None else None
        return replace(clip, id=wanted, video=clip.video.with_stem(known), audio=audio, text=None)

    @cached_property
    def _pairs(self) -> dict[str, str]:
        """Reference of each ``<talk>/<target>``."""
        matches = (PAIR.fullmatch(line) for line in read_list(self.repository.folder / _PAIRS))
        return {f"{one['talk']}/{one['target']}": one["reference"] for one in matches if one}

    def text(self, clip: Clip, kind: int) -> str:
        """Return the text of a clip; without texts, a word that the code ignores.

        Args:
            clip: target or reference.
            kind: 0 for a target, 1 for a reference.

        Raises:
            ClipFailure: ``text_missing``.
        """
        if self.texts is None:
            return "a"
        path = self.texts / _TEXTS[kind] / f"{clip.id}.txt"
        words = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        if not words:
            raise ClipFailure(FailureKind.TEXT_MISSING, f"'{path}' is missing or empty")
        return words.splitlines()[0]

    def _write_text(self, tree: Path, kind: int, name: str, clip: Clip) -> None:
        folder = _TEXTS[kind] if self.texts else "text"
        path = tree / folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text(clip, kind) + "\n", encoding="utf-8")

    def run(self, chunks: Sequence[Chunk], folder: Path, seed: int) -> ClipFailure | None:
        self._lay_out(folder)
        failure = self._extract_mels(folder) or self._extract_features(folder)
        ready = [chunk for chunk in chunks if _extracted(chunk, folder)]
        lines = [f"{Path(chunk.name).parent.name}_{_VOICE}_{Path(chunk.name).name}" for chunk in ready]
        (folder / _PAIRS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        last = self._infer(folder, seed) if ready else None
        return failure or last

    def _lay_out(self, folder: Path) -> None:
        """Lay out the tree of the repository around the clips; ``src`` is copied, since links would lead out of it."""
        repository = self.repository.folder
        shutil.copytree(
            repository / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.wav", "*.flac")
        )
        links = {
            folder / "ckpts/finetune" / f"model_{_STEPS}{self._checkpoint.suffix}": self._checkpoint,
            folder / _HIFIGAN: repository / _HIFIGAN,
            folder / Path(_VOCABULARY).parent: repository / Path(_VOCABULARY).parent,
        }
        for link, target in links.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target.resolve())

    def _extract_mels(self, folder: Path) -> ClipFailure | None:
        words = [
            str(folder / "src/aligndit/script/misc/extract_mel.py"),
            *("--nshard", "1", "--rank", "0", "--file-extension", f"{_VOICE}.wav"),
            *("--input-dir", str(folder / _TREE / "audio"), "--output-dir", str(folder / _TREE / _MELS)),
        ]
        return self.call(words, folder, python_path=[folder / "src"])

    def _extract_features(self, folder: Path) -> ClipFailure | None:
        words = [
            str(folder / "src/aligndit/script/misc/extract_avhubert_from_only_video.py"),
            *("--nshard", "1", "--rank", "0", "--user_dir", str(self._av_hubert.resolve())),
            *("--input-dir", str(folder / _TREE / "video"), "--output-dir", str(folder / _TREE / _FEATURES)),
            *("--ckpt-path", str(self.file("avhubert", _AVHUBERT))),
        ]
        places = [folder / "src", self._fairseq.resolve()]
        return self.call(words, folder, python_path=places, environment=self._features)

    def _infer(self, folder: Path, seed: int) -> ClipFailure | None:
        values = {name: f"{value:g}" for name, value in self.numbers.items()}
        guidance = ("--cfg_t", values["cfg_t"]) if self.texts else ("--ignore-modality", "text")
        words = [
            *("-m", "accelerate.commands.launch", "--mixed_precision", "bf16", "--num_processes", "1"),
            str(folder / "src/aligndit/script/eval/infer.py"),
            *("-n", "finetune", "-c", str(_STEPS), "-s", str(seed), "-nfe", values["nfe"]),
            *("-t", "lrs3_test_cross_w_lipreader" if self.texts else "lrs3_test_cross"),
            *("--cfg_v", values["cfg_v"], *guidance),
        ]
        return self.call(words, folder, python_path=[folder / "src"])

    def output(self, chunk: Chunk, folder: Path) -> Path:
        made = sorted((folder / "results").glob(f"*/*/*/{chunk.name}.wav"))
        return made[0] if made else folder / "results" / f"{chunk.name}.wav"

    def fingerprint(self, clip: Clip, seed: int) -> str:
        try:
            other = self.reference(clip, seed)
            texts = f"{self.text(other, 1)}|{self.text(clip, 0)}"
        except ClipFailure as failure:
            return f"{super().fingerprint(clip, seed)}:{failure.kind}"
        return f"{super().fingerprint(clip, seed)}:{other.id}:{texts}"

    @property
    def provenance(self) -> str:
        guided = f"text of '{self.texts}'" if self.texts else "no text, for which the authors advise fine-tuning"
        return f"{super().provenance}; guided by {guided}"


def _extracted(chunk: Chunk, folder: Path) -> bool:
    """Return whether features and reference mel of a chunk exist; the script stops at the first chunk without them."""
    features = folder / _TREE / _FEATURES / f"{chunk.name}.npy"
    mel = (folder / _TREE / _MELS / chunk.name).with_name(f"{_VOICE}.npy")
    try:
        shape, mel_shape = (np.load(path, allow_pickle=False).shape for path in (features, mel))
    except (OSError, ValueError):  # missing, truncated, or no array
        return False
    return bool(shape == (chunk.frames, _WIDTH) and mel_shape[1:] == (N_MELS,))
