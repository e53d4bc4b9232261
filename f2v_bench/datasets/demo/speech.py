"""Speech with phoneme timing by espeak-ng; a voice is a continuous function of numbers, not a choice from a list.

espeak-ng reads a voice as a base language and a *variant* file with pitch, formants, roughness and breath. That file is
written for every utterance, beside a copy of the English data (about 1 MB), and both are handed to a fresh process.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.errors import F2VError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE = 22_050  # output rate of espeak-ng
_DATA = ("phondata", "phonindex", "phontab", "intonations", "en_dict", "lang/gmw/en-US")
_LANGUAGE = "en-us"  # the acoustic model of the offline recognizer is American
_VARIANT = "identity"
_TIMEOUT_S = 60
# Letters are given as phonemes: as text, "a" is an article, and "z" depends on the country.
_LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvxyz",
        [
            "eI",
            "bi:",
            "si:",
            "di:",
            "i:",
            "Ef",
            "dZi:",
            "eItS",
            "aI",
            "dZeI",
            "keI",
            "El",
            "Em",
            "En",
            "oU",
            "pi:",
            "kju:",
            "A@",
            "Es",
            "ti:",
            "ju:",
            "vi:",
            "Eks",
            "waI",
            "zi:",
        ],
        strict=True,
    )
)


# A word's last sonorant is one unit with its vowel, and espeak-ng reports it after the next word's mark.
_CODAS = dict.fromkeys(["bin", "green", "in", "one", "seven", "nine", "again", "soon", "n"], "n") | {"l": "l"}


@dataclass(frozen=True, slots=True)
class Voice:
    """Voice of one person.

    Attributes:
        pitch_hz: mean F0 of a neutral sentence.
        formants: scale of all formant frequencies; 1 is a long male vocal tract, 1.17 a short female one.
        brightness: dB-like balance of high against low formants, -1 to 1.
        roughness: irregularity of the glottal pulses, 0 to 1.
        breath: aspiration noise, 0 to 1; the recognizer needs some.
        rate_wpm: words a minute.
    """

    pitch_hz: float
    formants: float
    brightness: float
    roughness: float
    breath: float
    rate_wpm: float

    def variant(self) -> str:
        """Return the voice as a variant file of espeak-ng."""
        lines = ["language variant", f"name {_VARIANT}"]
        # the contour runs between two pitches; with these its median is ``pitch_hz`` (pYIN, 36 voices: within 0.1 st)
        low, high = self.pitch_hz * 0.773, self.pitch_hz * 1.066
        lines += [f"pitch {low:.0f} {high:.0f}", "flutter 2", f"roughness {round(4 * self.roughness)}"]
        for number in range(9):
            height = 100 + self.brightness * (4 * number - 10)
            lines.append(f"formant {number} {100 * self.formants:.0f} {height:.0f} 100")
        lines.append("consonants 110 110")
        lines.append("breath 0 " + " ".join(f"{4 + 2 * self.breath:.0f}" for _ in range(7)))
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Delivery of one sentence, relative to the voice.

    Attributes:
        pitch: semitones above the mean F0 of the voice.
        liveliness: scale of the pitch movement, 1 is neutral.
        tempo: scale of the rate.
        effort: 0 (soft) to 1 (loud).
        emphasis: index of the stressed word, or None.
    """

    pitch: float
    liveliness: float
    tempo: float
    effort: float
    emphasis: int | None


@dataclass(frozen=True, slots=True)
class Phone:
    """One phoneme: mnemonic of espeak-ng without stress marks, interval in seconds, word index (-1 in pauses)."""

    name: str
    start_s: float
    end_s: float
    word: int


@dataclass(frozen=True, slots=True)
class Speech:
    """Synthesized sentence with its phonemes, in order and without gaps."""

    waveform: Waveform
    phones: tuple[Phone, ...]


def ssml(sentence: str, delivery: Delivery) -> str:
    """Return the sentence as SSML: a mark before every word, letters as phonemes, the stressed word raised."""
    out = []
    for place, word in enumerate(sentence.split()):
        markup = f"[['{_LETTERS[word]}]] " if word in _LETTERS else word
        if place == delivery.emphasis:
            markup = f'<prosody pitch="+18%" rate="88%" volume="+30%">{markup}</prosody>'
        out.append(f'<mark name="{place}"/>{markup}')
    return "<speak>" + " ".join(out) + "</speak>"


def synthesize_speech(sentence: str, voice: Voice, delivery: Delivery, seed: int = 0) -> Speech:
    """Synthesize a GRID sentence; equal arguments give equal samples.

    Returns:
        Speech at 22,050 Hz, cut at its first and last phoneme.

    Raises:
        F2VError: the package ``espeakng-loader`` is not installed, or espeak-ng fails.
    """
    loader = _loader()
    with tempfile.TemporaryDirectory(prefix="f2v-espeak-") as folder:
        data = Path(folder) / "espeak-ng-data"
        for name in _DATA:
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(loader.get_data_path()) / name, data / name)
        variants = data / "voices" / "!v"
        variants.mkdir(parents=True)
        (variants / _VARIANT).write_text(voice.variant(), encoding="ascii")
        request = {
            "library": loader.get_library_path(),
            "data": folder,
            "voice": f"{_LANGUAGE}+{_VARIANT}",
            "text": ssml(sentence, delivery),
            "rate": round(voice.rate_wpm * delivery.tempo),
            "volume": round(45 + 55 * delivery.effort),
            "pitch": _pitch_parameter(delivery.pitch),
            "range": round(min(99, 50 * delivery.liveliness)),
            "seed": seed,
        }
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("espeak_process.py"))],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        raise F2VError(
            f"espeak-ng cannot say '{sentence}': {done.stderr.decode(errors='replace').strip()[-300:]}",
            "reinstall the package espeakng-loader",
        )
    head, _, samples = done.stdout.partition(b"\n")
    return _speech(json.loads(head), np.frombuffer(samples, "<i2"), sentence.split())


def _loader() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        raise F2VError(
            "the demo corpus is spoken by espeak-ng, and the package 'espeakng-loader' is not installed",
            "uv sync --extra demo (GPL-3; the packaged clips need no generator)",
        ) from error
    return espeakng_loader


def _pitch_parameter(semitones: float) -> int:
    """Return the pitch parameter of espeak-ng, 0 to 99: 0.55 to 1.81 times the mean F0, nearly linear in semitones."""
    return round(min(99.0, max(0.0, 50 + semitones * 100 / 20.5)))


def _speech(timing: dict[str, Any], samples: NDArray[np.int16], words: list[str]) -> Speech:
    rate = timing["sample_rate"]
    events = [(at, name.strip("',%=|-")) for at, name in timing["phonemes"]]
    marks = np.array([at for at, _ in timing["marks"]])
    last = max(at for at, name in events if not name.startswith("_"))
    end = next((at for at, name in events if at > last), len(samples))
    ends = [at for at, _ in events[1:]] + [end]
    start = events[0][0]
    phones = []
    for (at, name), until in zip(events, ends, strict=True):
        if at >= end or until <= at or not name:
            continue
        word = -1 if name.startswith("_") else int(np.searchsorted(marks, at, side="right")) - 1
        phones.append(Phone(name, (at - start) / rate, (min(until, end) - start) / rate, word))
    speech: NDArray[np.float32] = samples[start:end].astype(np.float32) / np.float32(32768)
    fade = np.linspace(0, 1, rate // 200, dtype=np.float32)  # 5 ms, so that no cut clicks
    speech[: len(fade)] *= fade
    speech[-len(fade) :] *= fade[::-1]
    return Speech(Waveform(speech, rate), tuple(_with_codas(phones, words)))


def _with_codas(phones: list[Phone], words: list[str]) -> list[Phone]:
    """Give every word its last sonorant, cut from the end of its vowel."""
    phones = list(phones)
    for place, word in enumerate(words[:-1]):
        own = [index for index, phone in enumerate(phones) if phone.word == place]
        after = own[-1] + 1
        coda = _CODAS.get(word)
        if coda and phones[own[-1]].name != coda and phones[after].name == coda:
            vowel = phones[own[-1]]
            turn = vowel.start_s + 0.6 * (vowel.end_s - vowel.start_s)
            phones[own[-1]] = replace(vowel, end_s=turn)
            phones[after] = replace(phones[after], start_s=turn, word=place)
    return phones
