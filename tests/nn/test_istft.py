from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch

from f2v_bench.nn.vocoders.build import build_vocoder, vocode
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.istft import ForwardSTFT, InverseSTFT, ISTFTVocoder, envelope, overlap_add
from f2v_bench.signal.f0 import f0_contour
from f2v_bench.signal.mel import mel_filters
from tests.nn.published import chirp, randomized

SMALL = VocoderConfig(generator="istft", width=32, blocks=3, hidden=64)


@pytest.fixture(scope="module")
def small() -> ISTFTVocoder:
    torch.manual_seed(0)
    network = randomized(build_vocoder(SMALL))
    assert isinstance(network, ISTFTVocoder)
    return network


def mel_of(frames: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return (-4 + 2 * np.random.default_rng(0).standard_normal((frames, 80))).astype(np.float32)


@pytest.mark.parametrize("n_fft", [320, 640, 960, 1280])
def test_the_inverse_undoes_the_transform(n_fft: int) -> None:
    """Frames at the positions of the mel's: reflected by (n_fft - hop) / 2, so that T frames are 160 T samples."""
    wave = chirp(160 * 13)[None]
    pad = (n_fft - 160) // 2
    framed = torch.nn.functional.pad(wave[:, None], (pad, pad), "reflect")[:, 0]
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(framed, n_fft, 160, window=window, center=False, return_complex=True).transpose(1, 2)
    assert spectrum.shape == (1, 13, n_fft // 2 + 1)
    torch.testing.assert_close(InverseSTFT(n_fft)(spectrum), wave, atol=1e-5, rtol=0)


def test_overlapping_frames_are_summed() -> None:
    frames = torch.arange(2 * 3 * 640, dtype=torch.float32).view(2, 3, 640)
    expected = torch.zeros(2, 960)
    for place in range(3):
        expected[:, 160 * place : 160 * place + 640] += frames[:, place]
    torch.testing.assert_close(overlap_add(frames), expected, atol=0, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("frames", [1, 2, 51])
def test_a_frame_is_160_samples(small: ISTFTVocoder, frames: int) -> None:
    samples = small(torch.from_numpy(mel_of(frames))[None].expand(3, -1, -1))
    assert samples.shape == (3, 160 * frames)
    assert samples.dtype == torch.float32
    torch.testing.assert_close(samples[0], samples[2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("chunk", [1, 9, 40])
def test_chunks_equal_the_whole(small: ISTFTVocoder, chunk: int) -> None:
    f0 = np.linspace(100, 160, 61, dtype=np.float32)
    f0[20:30] = 0
    for given in (None, f0):
        whole = vocode(small, mel_of(61), given)
        assert whole.shape == (160 * 61,)
        assert float(np.abs(whole).max()) > 1e-3
        np.testing.assert_allclose(vocode(small, mel_of(61), given, chunk), whole, atol=1e-5)


def test_the_output_has_the_given_f0(small: ISTFTVocoder) -> None:
    """Also for random weights, since the pulses are periodic."""
    torch.manual_seed(0)
    network = build_vocoder(SMALL).eval()
    f0 = np.linspace(110, 170, 100, dtype=np.float32)
    samples = vocode(network, np.full((100, 80), -3, np.float32), f0)
    found, _ = f0_contour(samples, 16_000)
    voiced = found[5:95] > 0
    assert voiced.mean() > 0.9
    assert np.median(np.abs(found[5:95] / f0[5:95] - 1)[voiced]) < 0.02


def test_the_forward_transform_matches_the_inverse_up_to_scale() -> None:
    """Zeros lie beyond the ends, so that the samples near them differ; white noise has magnitudes of about 1."""
    wave = torch.randn(2, 160 * 40, generator=torch.Generator().manual_seed(0))
    spectrum = ForwardSTFT(640)(wave)
    assert spectrum.shape == (2, 40, 321)
    assert float(spectrum.abs().square().mean()) == pytest.approx(1, abs=0.05)
    scale = torch.hann_window(640).square().sum().sqrt()
    torch.testing.assert_close(InverseSTFT(640)(spectrum * scale), wave, atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_fft", [640, 960])
def test_the_context_is_the_receptive_field(n_fft: int) -> None:
    """Three frames for each of two blocks and the first convolution, and the overlap of a frame's transform."""
    torch.manual_seed(0)
    config = VocoderConfig(generator="istft", width=16, blocks=2, hidden=16, n_fft=n_fft)
    network = build_vocoder(config)
    mel = torch.randn(1, 41, 80, requires_grad=True)
    with torch.no_grad():
        excitation = network.excitation(mel)
    samples = network(mel, excitation)[0, 160 * 20 : 160 * 21]
    near = [torch.autograd.grad(sample, mel, retain_graph=True)[0][0].any(1).nonzero() for sample in samples[[0, -1]]]
    reach = max(abs(int(edge) - 20) for frames in near for edge in (frames.min(), frames.max()))
    assert network.context == reach == 9 + n_fft // 320


def test_the_light_sizes_have_about_two_million_weights() -> None:
    with torch.device("meta"):
        network = build_vocoder(VocoderConfig(generator="istft", width=192, blocks=8, hidden=576))
    width, hidden, bins = 192, 576, 3 * 321
    block = 7 * width + width + 2 * width + width * hidden + hidden + hidden * width + width + width
    expected = (80 * 7 + 1) * width + 2 * width + 2 * width + 8 * block + 2 * width + (width + 1) * bins
    pitch = sum(parameter.numel() for parameter in network.get_submodule("pitch").parameters())
    assert sum(parameter.numel() for parameter in network.parameters()) - pitch == expected == 2_087_235


@pytest.mark.parametrize("n_fft", [640, 1280])
def test_the_envelope_is_that_of_the_spectrum(n_fft: int) -> None:
    """A flat spectrum is recovered from its mel exactly, at any level; a slope nearly so."""
    offset, weights = envelope(n_fft)
    torch.testing.assert_close(weights.sum(0), torch.ones(n_fft // 2 + 1))
    filters = torch.from_numpy(mel_filters())  # (80, 321)
    for level in (-6.0, 2.0):
        even = filters.sum(1).log() + level
        torch.testing.assert_close((even - offset) @ weights, torch.full((n_fft // 2 + 1,), level + log(n_fft / 640)))
    slope = torch.linspace(0, -6, 321)
    found = ((filters @ slope.exp()).log() - offset) @ weights
    error = (found[:: n_fft // 640] - log(n_fft / 640) - slope).abs()
    assert float(error[:308].max()) < 0.1  # constant above the last center


def test_silence_gives_near_silence(small: ISTFTVocoder) -> None:
    with torch.inference_mode():
        samples = small(torch.full((1, 10, 80), -11.513))
    assert bool(samples.isfinite().all())
    assert float(samples.abs().max()) < 0.05


def test_bfloat16_is_close(small: ISTFTVocoder) -> None:
    mel = torch.from_numpy(mel_of(20))[None]
    with torch.inference_mode():
        excitation = small.excitation(mel)  # an F0 error of half a percent would soon change the phase
        with torch.autocast("cpu", torch.bfloat16):
            found = small(mel, excitation)
        expected = small(mel, excitation)
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) < 0.1


def test_impossible_sizes_are_refused() -> None:
    for n_fft in (160, 480, 512):
        with pytest.raises(ValueError, match=f"n_fft is {n_fft}"):
            build_vocoder(VocoderConfig(generator="istft", n_fft=n_fft))
