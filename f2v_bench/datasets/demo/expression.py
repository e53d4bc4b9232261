"""Facial expression: brows, lids, cheeks and head follow the measured pitch and loudness of the speech.

Brow height follows F0 and head motion follows both in real speech (C. Cavé et al., "About the relationship between
eyebrow movements and F0 variations", 1996; K. Munhall et al., "Visual prosody and speech intelligibility", 2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.signal.energy import energy_contour
from f2v_bench.signal.f0 import f0_contour
from f2v_bench.signal.mel import FRAME_RATE
from f2v_bench.timing import FPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.clip import Waveform

_QUIET, _LOUD = -1.0, 3.6  # natural log energies that map to 0 and 1


@dataclass(frozen=True, slots=True)
class Expression:
    """Expression tracks of one clip, float32 ``(frames,)`` each.

    Attributes:
        semitones: measured F0 above the voice's own pitch, interpolated where unvoiced, 0 at rest.
        loudness: measured energy, 0 (silent) to 1.
        brow: height, -1 to 1.5; 0 at rest.
        lid: opening of the eyes, 0 (shut) to about 1.3.
        cheek: raised cheeks, 0 to 1.
        yaw, pitch, roll: head pose; yaw and pitch as shares of their maximum, roll in radians.
        bob: height of the head, share of the face width, up is negative.
        gaze_x, gaze_y: position of the irises, -1 to 1.
    """

    semitones: NDArray[np.float32]
    loudness: NDArray[np.float32]
    brow: NDArray[np.float32]
    lid: NDArray[np.float32]
    cheek: NDArray[np.float32]
    yaw: NDArray[np.float32]
    pitch: NDArray[np.float32]
    roll: NDArray[np.float32]
    bob: NDArray[np.float32]
    gaze_x: NDArray[np.float32]
    gaze_y: NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, frames: int, period_s: float) -> NDArray[np.float64]:
    """Return Gaussian noise ``(frames,)`` of about unit variance that changes over ``period_s`` seconds."""
    knots = max(4, int(frames / FPS / period_s) + 4)
    at = np.linspace(0, knots - 1, frames)
    values = rng.normal(size=knots)
    lower = np.minimum(at.astype(int), knots - 2)
    share = at - lower
    share = share * share * (3 - 2 * share)
    return np.asarray(values[lower] * (1 - share) + values[lower + 1] * share)


def _smooth(track: NDArray[np.float64], frames: float) -> NDArray[np.float64]:
    reach = int(4 * frames) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    padded = np.pad(track, reach, mode="edge")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), mode="valid"))


def _semitones(audio: Waveform, voice_hz: float, frames: int) -> NDArray[np.float64]:
    f0, times = f0_contour(audio.samples, audio.sample_rate)
    voiced = f0 > 0
    if voiced.sum() < 2:
        return np.zeros(frames)
    pitch = np.clip(12 * np.log2(f0[voiced] / voice_hz), -12, 12)
    when = times[voiced].astype(np.float64)
    # rest before the first and after the last voiced frame
    when = np.concatenate([[when[0] - 0.25], when, [when[-1] + 0.35]])
    pitch = np.concatenate([[0.0], pitch, [0.0]])
    fine = np.interp((np.arange(frames * 4) + 0.5) / FPS / 4, when, pitch, left=0.0, right=0.0)
    return np.asarray(_smooth(fine, 4.0).reshape(frames, 4).mean(axis=1))


def _loudness(audio: Waveform, frames: int) -> NDArray[np.float64]:
    energy = energy_contour(audio.samples, audio.sample_rate).astype(np.float64)
    at = (np.arange(frames * 4) + 0.5) / FPS / 4 * FRAME_RATE - 0.5
    fine = np.interp(at, np.arange(len(energy)), np.clip((energy - _QUIET) / (_LOUD - _QUIET), 0, 1.2))
    return np.asarray(_smooth(fine, 3.0).reshape(frames, 4).mean(axis=1))


def _blinks(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    shut = np.zeros(frames)
    at = float(rng.exponential(1.6))
    while at < frames / FPS:
        distance = np.abs(np.arange(frames) / FPS - at)
        shut = np.maximum(shut, np.clip(1.45 - distance / 0.075, 0, 1))
        at += 0.8 + float(rng.exponential(2.2))
    return shut


def _gaze(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """Return fixations with jumps between them, ``(frames,)``."""
    jumps = np.cumsum(rng.uniform(size=frames) < 0.03)
    return np.asarray(_smooth(rng.normal(0, 0.3, jumps[-1] + 1)[jumps], 0.5))


def express(audio: Waveform, voice_hz: float, frames: int, rng: np.random.Generator) -> Expression:
    """Return the expression of a face during speech.

    Args:
        audio: speech at 16 kHz that starts with frame 0.
        voice_hz: mean F0 of the voice, Hz.
        frames: length of the video, 25 fps.
        rng: generator of idle motion, blinks and gaze.
    """
    semitones = _semitones(audio, voice_hz, frames)
    loudness = _loudness(audio, frames)
    slow = _smooth(loudness, 5.0)
    tracks = {
        "semitones": semitones,
        "loudness": loudness,
        "brow": np.clip(semitones / 7 + 0.06 * smooth_noise(rng, frames, 0.7), -1, 1.5),
        "lid": (1 + 0.16 * (loudness - 0.5) + 0.025 * semitones) * (1 - _blinks(rng, frames)),
        "cheek": np.clip(slow + 0.05 * smooth_noise(rng, frames, 0.6), 0, 1),
        "yaw": np.clip(0.45 * smooth_noise(rng, frames, 0.9) + rng.normal(0, 0.35), -1, 1),
        "pitch": np.clip(
            -_smooth(semitones, 2.5) / 9 + 0.3 * (slow - 0.4) + 0.18 * smooth_noise(rng, frames, 0.8), -1, 1
        ),
        "roll": 0.035 * smooth_noise(rng, frames, 1.0) + 0.004 * _smooth(semitones, 4.0),
        "bob": -0.007 * _smooth(semitones, 2.5) + 0.02 * (slow - 0.4) + 0.012 * smooth_noise(rng, frames, 0.9),
        "gaze_x": _gaze(rng, frames),
        "gaze_y": 0.6 * _gaze(rng, frames),
    }
    return Expression(**{name: track.astype(np.float32) for name, track in tracks.items()})
