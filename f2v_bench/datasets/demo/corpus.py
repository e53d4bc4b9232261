"""Plan, rendering and files of the demo corpus.

``(seed, index)`` alone decides a clip: a corpus of 100 clips is the start of one of 10,000.

    <root>/corpus.json                    generator, seed, license
    <root>/manifest.csv                   one row per clip, with transcript, voice and delivery
    <root>/<split>/<person>/<code>.mp4    video and sound
    <root>/<split>/<person>/<code>.json   the same parameters, and the time of every phoneme in the video
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.datasets.demo.expression import express
from f2v_bench.datasets.demo.render.scene import film
from f2v_bench.datasets.demo.speech import Delivery, Phone, synthesize_speech
from f2v_bench.datasets.demo.traits import Identity, identity
from f2v_bench.datasets.demo.visemes import articulate
from f2v_bench.datasets.grid_sentences import PLACES, encode_sentence
from f2v_bench.errors import F2VError
from f2v_bench.media import pad_or_trim, resample, write_video
from f2v_bench.timing import FPS, SAMPLE_RATE
from f2v_bench.utils.multiprocessing import unordered_map
from f2v_bench.utils.paths import atomic_path, atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: incremented when equal seeds give other clips
GENERATOR_VERSION = 1
LICENSE = (
    "Rendered by f2v-bench (MIT); the speech is output of espeak-ng, whose GPL-3 covers the program, not its output. "
    "No real person is shown or heard."
)
#: person numbers of each split, disjoint
PEOPLE = {"train": range(80), "val": range(80, 88), "test": range(88, 100)}
# Of every 25 clips, three belong to test and two to val; the first three clips of a corpus hold one of each split.
_PERIOD = 25
_PLACES_OF = {"test": (1, 9, 17), "val": (2, 14)}
_CRF = 20
_ROOM_DBFS = -54.0  # level of the noise under the speech; speech peaks near -6
_AUDIO_BIT_RATE = 64_000
_PRESET = "veryfast"


@dataclass(frozen=True, slots=True)
class Plan:
    """Parameters of a clip before rendering.

    Attributes:
        seed, index: numbers that decide all other fields.
        split: ``train``, ``val`` or ``test``.
        person: speaker of the clip.
        sentence: six words of GRID.
        delivery: pitch, tempo and effort of the sentence.
        lead_s, trail_s: silence before and after the speech, seconds.
    """

    seed: int
    index: int
    split: str
    person: Identity
    sentence: str
    delivery: Delivery
    lead_s: float
    trail_s: float

    @property
    def code(self) -> str:
        return encode_sentence(self.sentence)

    @property
    def clip_id(self) -> str:
        return f"{self.person.name}/{self.code}"

    @property
    def path(self) -> str:
        """Path of the video below the root."""
        return f"{self.split}/{self.clip_id}.mp4"


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rendered clip.

    Attributes:
        frames: iterator of uint8 RGB frames ``(192, 192, 3)``, rendered on demand.
        count: number of frames.
        audio: waveform at 16 kHz, as long as the frames.
        phones: phonemes with times in the video.
    """

    frames: Iterator[NDArray[np.uint8]]
    count: int
    audio: Waveform
    phones: tuple[Phone, ...]


@cache
def _sentences(seed: int) -> tuple[str, ...]:
    """Return all 64,000 sentences of GRID in the order of a seed: no two clips share one."""
    every = [" ".join(words) for words in product(*(words for _, words in PLACES))]
    return tuple(every[at] for at in np.random.default_rng([seed, 2]).permutation(len(every)))


def plan(seed: int, index: int) -> Plan:
    """Return the plan of clip ``index`` of the corpus with this seed."""
    round_, place = divmod(index, _PERIOD)
    split = next((name for name, places in _PLACES_OF.items() if place in places), "train")
    others = sorted(set(range(_PERIOD)) - {at for places in _PLACES_OF.values() for at in places})
    places = _PLACES_OF.get(split, tuple(others))
    people = PEOPLE[split]
    rank = round_ * len(places) + places.index(place)
    rng = np.random.default_rng([seed, 3, index])
    delivery = Delivery(
        pitch=round(float(np.clip(rng.normal(0, 1.8), -4, 4)), 3),
        liveliness=round(float(rng.uniform(0.5, 1.8)), 3),
        tempo=round(float(rng.uniform(0.9, 1.12)), 3),
        effort=round(float(rng.uniform(0.1, 1)), 3),
        emphasis=int(rng.integers(len(PLACES))) if rng.uniform() < 0.6 else None,
    )
    sentences = _sentences(seed)
    lead_s, trail_s = rng.uniform(0.2, 0.45, 2).round(3).tolist()
    person = identity(seed, people[rank % len(people)])
    return Plan(seed, index, split, person, sentences[index % len(sentences)], delivery, lead_s, trail_s)


def render(clip: Plan) -> Rendered:
    """Render speech and video of a clip; equal plans give equal frames and samples.

    Raises:
        F2VError: espeak-ng is missing or fails.
    """
    voice = clip.person.voice
    speech = synthesize_speech(clip.sentence, voice, clip.delivery, seed=clip.index)
    own = resample(speech.waveform.samples, speech.waveform.sample_rate, SAMPLE_RATE)
    count = int(np.ceil((clip.lead_s + len(own) / SAMPLE_RATE + clip.trail_s) * FPS))
    samples = pad_or_trim(own, round(clip.lead_s * SAMPLE_RATE), round(count * SAMPLE_RATE / FPS))
    audio = Waveform(np.clip(samples, -0.99, 0.99), SAMPLE_RATE)
    rng = np.random.default_rng([clip.seed, 4, clip.index])
    expression = express(audio, voice.pitch_hz, count, rng)
    articulation = articulate(speech.phones, clip.lead_s, count)
    phones = tuple(
        Phone(phone.name, phone.start_s + clip.lead_s, phone.end_s + clip.lead_s, phone.word) for phone in speech.phones
    )
    return Rendered(film(clip.person.face, articulation, expression, rng), count, _add_room_noise(audio, clip), phones)


def _add_room_noise(speech: Waveform, clip: Plan) -> Waveform:
    """Add faint noise to the speech: digital silence misleads the noise trackers of recognizers."""
    noise = np.random.default_rng([clip.seed, 5, clip.index]).standard_normal(len(speech.samples))
    samples = speech.samples + 10 ** (_ROOM_DBFS / 20) * noise
    return Waveform(samples.clip(-1, 1).astype(np.float32), speech.sample_rate)


def generate(
    root: Path,
    clips: int,
    *,
    seed: int = 0,
    workers: int = 1,
    split: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the first ``clips`` clips of a corpus into a folder; complete clips in it are kept.

    Args:
        root: folder, new or with a corpus of the same seed and generator version.
        clips: number of clips, 1 to 64,000.
        seed: seed of people and sentences.
        workers: number of processes.
        split: name of the only split to render among the first ``clips``; None renders all.
        progress: callback with (done, total), at the start and after every clip; kept clips count.

    Returns:
        The root, for ``--data-root``.

    Raises:
        F2VError: a count or split that cannot be, a folder of another corpus or that cannot be written, espeak-ng
            missing.
    """
    most = len(_sentences(seed))
    if not 1 <= clips <= most:
        raise F2VError(
            f"a demo corpus cannot have {clips} clips", f"ask for 1 to {most}: no two clips share a sentence"
        )
    if split is not None and split not in PEOPLE:
        raise F2VError(f"the demo corpus has no split '{split}'", f"use {', '.join(PEOPLE)}")
    plans = [one for index in range(clips) if split in (None, (one := plan(seed, index)).split)]
    if not plans:
        raise F2VError(f"the first {clips} clips hold none of split '{split}'", f"ask for {_PERIOD} clips or more")
    try:
        _write_corpus_file(root, seed)
        missing = [clip.index for clip in plans if not _complete(root, clip)]
        kept = len(plans) - len(missing)
        report = progress or (lambda _done, _total: None)
        report(kept, len(plans))
        jobs = [(root, seed, index) for index in missing]
        for done, _ in enumerate(unordered_map(write_clip, jobs, workers), kept + 1):
            report(done, len(plans))
        _write_manifest(root, plans)
    except OSError as error:
        raise F2VError(f"the demo corpus cannot be written to '{root}': {error}", "give a writable folder") from error
    return root


def _write_corpus_file(root: Path, seed: int) -> None:
    """Write ``corpus.json``, or check that the folder is of the same corpus."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "corpus.json"
    own = {"generator": "f2v-bench demo", "version": GENERATOR_VERSION, "seed": seed, "license": LICENSE}
    if path.exists():
        existing = json.loads(path.read_text(encoding="utf-8"))
        if any(existing.get(key) != own[key] for key in ("version", "seed")):
            raise F2VError(
                f"'{root}' holds a demo corpus of seed {existing.get('seed')} and generator {existing.get('version')}, "
                f"not of seed {seed} and generator {GENERATOR_VERSION}",
                "use another folder",
            )
    else:
        atomic_write(path, json.dumps(own, indent=2) + "\n")


def _complete(root: Path, clip: Plan) -> bool:
    # the video is moved into place last
    return (root / clip.path).is_file() and (root / clip.path).with_suffix(".json").is_file()


def write_clip(root: Path, seed: int, index: int) -> None:
    """Render one clip into its place under the root, whole or not at all."""
    clip = plan(seed, index)
    rendered = render(clip)
    path = root / clip.path
    path.parent.mkdir(parents=True, exist_ok=True)
    described = _row(clip, rendered.count) | {
        "phones": [
            [phone.name, round(phone.start_s, 4), round(phone.end_s, 4), phone.word] for phone in rendered.phones
        ]
    }
    atomic_write(path.with_suffix(".json"), json.dumps(described) + "\n")
    write_video(path, rendered.frames, rendered.audio, crf=_CRF, audio_bit_rate=_AUDIO_BIT_RATE, preset=_PRESET)


def _row(clip: Plan, frames: int) -> dict[str, Any]:
    voice = {name: round(value, 4) for name, value in asdict(clip.person.voice).items()}
    return {
        "clip_id": clip.clip_id,
        "speaker": clip.person.name,
        "path": clip.path,
        "split": clip.split,
        "transcript": clip.sentence,
        "duration_s": frames / FPS,
        "index": clip.index,
        **{f"voice_{name}": value for name, value in voice.items()},
        **{f"delivery_{name}": value for name, value in asdict(clip.delivery).items()},
    }


def _write_manifest(root: Path, plans: list[Plan]) -> None:
    rows = [json.loads((root / clip.path).with_suffix(".json").read_text(encoding="utf-8")) for clip in plans]
    path = root / "manifest.csv"
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name != "phones"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: str(row["clip_id"])))
