"""Whisper on a tiny checkpoint with random weights, in the layout that OpenAI publishes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from f2v_bench.errors import F2VError
from f2v_bench.metrics.asr.base import Hypothesis
from f2v_bench.metrics.asr.whisper import Whisper

pytest.importorskip("whisper")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("whisper") / "tiny.en.pt")


def save_checkpoint(path: Path, seed: int = 0) -> Path:
    import torch
    from whisper.model import ModelDimensions
    from whisper.model import Whisper as Network

    dims = ModelDimensions(
        n_mels=80,
        n_audio_ctx=1500,
        n_audio_state=32,
        n_audio_head=2,
        n_audio_layer=1,
        n_vocab=51_864,
        n_text_ctx=24,
        n_text_state=32,
        n_text_head=2,
        n_text_layer=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network(dims)
        for parameter in network.parameters():  # larger than torch's own, so that the audio shows in the text
            torch.nn.init.normal_(parameter, std=0.3)
    torch.save({"dims": vars(dims), "model_state_dict": network.state_dict()}, path)
    return path


def clips(count: int = 5) -> list[np.ndarray]:
    generator = np.random.default_rng(7)
    return [(generator.standard_normal(4000 + 9000 * i) * 0.1 * (i + 1)).astype(np.float32) for i in range(count)]


@pytest.mark.parametrize("beam", [False, True])
def test_a_batch_equals_one_by_one_in_any_order(checkpoint: Path, beam: bool) -> None:
    recognizer = Whisper("whisper-tiny.en", checkpoint, beam=beam, batch_size=3)
    batch = clips()
    together = recognizer.transcribe(batch)
    assert len({hypothesis.text for hypothesis in together}) > 1
    for others in (
        [recognizer.transcribe([clip])[0] for clip in batch],
        recognizer.transcribe(batch[::-1])[::-1],
    ):
        assert [one.text for one in others] == [one.text for one in together]
        for one, other in zip(others, together, strict=True):
            assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=1e-4)
            assert one.compression_ratio == other.compression_ratio


def test_equals_openais_own_transcribe(checkpoint: Path) -> None:
    """The same checkpoint through ``whisper.load_model(path)`` and ``decode``, with the protocol's options."""
    import whisper

    clip = clips()[3]
    model = whisper.load_model(str(checkpoint), device="cpu")
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(clip), n_mels=80)
    options = whisper.DecodingOptions(language="en", temperature=0.0, without_timestamps=True, fp16=False)
    expected = whisper.decode(model, mel, options)
    [found] = Whisper("whisper-tiny.en", checkpoint).transcribe([clip])
    assert found.text == expected.text
    assert found.avg_logprob == pytest.approx(expected.avg_logprob, abs=1e-5)
    assert found.no_speech_prob == pytest.approx(expected.no_speech_prob, abs=1e-6, nan_ok=True)


def test_decoding_is_deterministic(checkpoint: Path) -> None:
    assert _plain(Whisper("w", checkpoint).transcribe(clips())) == _plain(Whisper("w", checkpoint).transcribe(clips()))


def _plain(hypotheses: list[Hypothesis]) -> list[str]:
    return [repr(hypothesis) for hypothesis in hypotheses]


def test_no_clips_no_hypotheses(checkpoint: Path) -> None:
    assert Whisper("whisper-tiny.en", checkpoint).transcribe([]) == []


def test_signature_names_weights_decoder_and_precision(checkpoint: Path, tmp_path: Path) -> None:
    greedy = Whisper("whisper-tiny.en", checkpoint).signature
    others = [
        Whisper("whisper-tiny.en", checkpoint, beam=True).signature,
        Whisper("whisper-tiny.en", checkpoint, device="cuda").signature,
        Whisper("whisper-tiny.en", save_checkpoint(tmp_path / "other.pt", seed=1)).signature,
    ]
    assert len({greedy, *others}) == 4
    for part in ("decode:greedy", "language:en", "temperature:0", "fallback:no", "precision:fp32"):
        assert part in greedy.split("|")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02K\x01."])
def test_a_broken_checkpoint_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tiny.en.pt"
    path.write_bytes(content)
    with pytest.raises(F2VError, match="is no Whisper checkpoint"):
        Whisper("whisper-tiny.en", path).transcribe(clips(1))


def test_pickled_code_is_refused(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "tiny.en.pt"
    torch.save({"dims": {}, "model_state_dict": {"x": Trap(tmp_path / "sprung")}}, path)
    with pytest.raises(F2VError, match="is no Whisper checkpoint"):
        Whisper("whisper-tiny.en", path).transcribe(clips(1))
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Runs code when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)
