from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torchaudio

from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.wav2vec2 import TransformerShape
from f2v_bench.nn.encoders.wavlm import WavLM, distance_buckets, standardize_waveforms
from f2v_bench.nn.encoders.wavlm_sv import MIN_SAMPLES, WavLMSV, load_wavlm_sv
from f2v_bench.nn.layers.masking import pad_sequences
from tests.nn.published import chirp, filled, randomized, shapes_of
from tests.nn.test_wav2vec2 import to_torchaudio

SMALL = TransformerShape(layers=3, width=64, heads=4, hidden=96, norm_first=True, position_groups=4)


@pytest.fixture(scope="module")
def encoder() -> WavLMSV:
    torch.manual_seed(0)
    return randomized(WavLMSV(SMALL), spread=0.2)


@torch.inference_mode()
def test_layers_equal_torchaudios_wavlm() -> None:
    """An independent implementation; its list of states lacks the first layer's input and the last norm."""
    torch.manual_seed(0)
    ours = randomized(WavLM(SMALL))
    theirs = torchaudio.models.wavlm_model(
        extractor_mode="layer_norm",
        extractor_conv_layer_config=None,
        extractor_conv_bias=False,
        encoder_embed_dim=SMALL.width,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=128,
        encoder_pos_conv_groups=SMALL.position_groups,
        encoder_num_layers=SMALL.layers,
        encoder_num_heads=SMALL.heads,
        encoder_num_buckets=320,
        encoder_max_distance=800,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=SMALL.hidden,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=True,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    ).eval()
    state = {to_torchaudio(wavlm_name(name)): tensor for name, tensor in joined(ours.state_dict()).items()}
    assert not theirs.load_state_dict(state, strict=False).missing_keys
    wave = chirp(32_000)[None]
    expected = theirs.extract_features(wave)[0]
    states = list(ours.hidden_states(wave, torch.tensor([32_000])))
    assert len(states) == SMALL.layers + 1
    for found, wanted in zip(states[1:-1], expected, strict=False):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(states[-1], ours.encoder.layer_norm(expected[-1]), atol=1e-4, rtol=1e-4)


def joined(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """PyTorch keeps the three projections in one matrix."""
    out = {}
    for name, tensor in state.items():
        if ".q_proj." in name:
            parts = [state[name.replace(".q_proj.", f".{which}_proj.")] for which in "qkv"]
            out[name.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
        elif ".k_proj." not in name and ".v_proj." not in name and name != "mask_emb":
            out[name] = tensor
    return out


def wavlm_name(name: str) -> str:
    if name.startswith("feature_extractor"):
        return name.replace(".2.1.", ".layer_norm.")
    for old, new in (
        ("self_attn.in_proj_", "self_attn.attention.in_proj_"),
        ("self_attn.out_proj.", "self_attn.attention.out_proj."),
        ("grep_linear", "gru_rel_pos_linear"),
        ("grep_a", "gru_rel_pos_const"),
        ("relative_attention_bias", "rel_attn_embed"),
    ):
        name = name.replace(old, new)
    return name


@torch.inference_mode()
def test_golden_embedding_of_the_published_code() -> None:
    """UniSpeech's own ECAPA-TDNN and WavLM, filled with the same weights and run once on the same tone."""
    found = filled(WavLMSV(SMALL))(chirp(16_000)[None], torch.tensor([16_000]))[0]
    assert found[:4].tolist() == pytest.approx([13.508082, 6.050080, -3.649580, -12.025012], abs=2e-4)


@torch.inference_mode()
def test_a_batch_equals_one_by_one(encoder: WavLMSV) -> None:
    clips = [chirp(n) * (0.1 + i) for i, n in enumerate((MIN_SAMPLES, 16_001, 5_000))]
    batch, lengths = pad_sequences([clip.numpy() for clip in clips])
    together = encoder(batch, lengths)
    alone = torch.cat([encoder(clip[None], torch.tensor([len(clip)])) for clip in clips])
    torch.testing.assert_close(together[1:], alone[1:], atol=1e-4, rtol=1e-4)
    vectors = encoder.embed([clip.numpy() for clip in clips])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, torch.nn.functional.normalize(alone).numpy(), atol=1e-4)
    np.testing.assert_allclose(encoder.embed([clip.numpy() for clip in clips[::-1]])[::-1], vectors, atol=1e-5)


def test_clips_are_standardized_one_by_one() -> None:
    clips = [3 + torch.randn(500), 0.01 * torch.randn(2000)]
    batch, lengths = pad_sequences([clip.numpy() for clip in clips])
    out = standardize_waveforms(batch, lengths)
    for row, clip in zip(out, clips, strict=True):
        inside = row[: len(clip)]
        assert (inside.mean().item(), inside.std(correction=0).item()) == pytest.approx((0, 1), abs=0.05)
        assert not row[len(clip) :].any()


def test_distances_fall_into_the_published_buckets() -> None:
    """160 buckets for each direction: exact to 79 frames, then logarithmic up to 800."""
    found = distance_buckets(torch.tensor([0, 1, -1, 79, 80, -80, 800, 5000, -5000])).tolist()
    assert found == [0, 161, 1, 239, 240, 80, 319, 319, 159]


def test_the_published_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f2v_bench.nn.encoders.wavlm_sv.WavLMSV", lambda: WavLMSV(SMALL))
    state = filled(WavLMSV(SMALL)).state_dict()
    torch.save({"model": {**state, "loss_calculator.projection.weight": torch.zeros(9, 256)}}, tmp_path / "a.pth")
    torch.save(state, tmp_path / "bare.pth")
    loaded = load_wavlm_sv(tmp_path / "a.pth", "")
    assert not loaded.training
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, state[name])
    with pytest.raises(F2VError, match="no weights under 'model'"):
        load_wavlm_sv(tmp_path / "bare.pth", "")


@pytest.mark.slow
def test_size_of_the_published_model() -> None:
    """488 tensors of WavLM-large; with the head about 1.3 GB of float32, as the published file."""
    shapes = shapes_of(WavLMSV())
    wavlm = [name for name in shapes if name.startswith("feature_extract.model.")]
    assert len(wavlm) == 488
    assert sum(math.prod(shapes[name]) for name in wavlm) == 315_453_120
    assert shapes["feature_weight"] == (25,)
    assert shapes["feature_extract.model.encoder.layers.0.self_attn.relative_attention_bias.weight"] == (320, 16)
    assert 4 * sum(map(math.prod, shapes.values())) == pytest.approx(1.30e9, rel=0.01)
