"""V2A-WaveGAN: what it adds to V2A-MelSpec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from baselines.v2a.adversarial import AdversarialModule
from baselines.v2a.config import WAVE_PRESETS, TransferConfig, WaveConfig
from baselines.v2a.decoders import WaveOutput, slice_segments
from baselines.v2a.model import V2A, Autoencoder, EncoderDecoder
from baselines.v2a.spec import WAVE_SPEC
from baselines.v2a.train import V2AWaveExperiment
from f2v_bench.errors import F2VError
from f2v_bench.modeling import checkpoint
from f2v_bench.modeling.audio_encoder import BottleneckConfig, PretrainingConfig
from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.checkpoint import save_checkpoint, strip_shared
from f2v_bench.modeling.synthesizer import Synthesizer
from f2v_bench.nn.checkpoints.torch import read_checkpoint
from f2v_bench.nn.encoders.lip_encoder import LipEncoder, LipEncoderConfig
from f2v_bench.nn.layers.log_mel import LogMel
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.excitation import pulse_train
from f2v_bench.registry import SYSTEMS
from f2v_bench.systems.base import SystemOptions
from f2v_bench.training.data.audio_dataset import clip_audio_features
from f2v_bench.training.data.dataset import ClipDataset
from tests.baselines.test_audio_pretraining import SIZES, TINIEST, alone, batch_of
from tests.clips import babble, write_clip
from tests.nn.published import randomized
from tests.reference_model.small import FACTS, crops_of
from tests.training.staged import (
    GROUND,
    LIPS,
    STAGE,
    VOCODER,
    train_options,
    trained,
)
from tests.training.toys import toy_prepared

SOUND = replace(
    VOCODER, segment=1280, adversarial_from=2, discriminator_width=1 / 16, periods=(2,), scales=0, resolutions=(256,),
    spectral_weight=1.0,
)  # fmt: skip
CONVOLUTIONS = replace(
    SOUND, generator="hifigan", channels=32, upsample=(8, 5, 4, 4), upsample_kernels=(16, 11, 8, 8),
    resblock_kernels=(3,), dilations=(1,),
)  # fmt: skip
SMALL = WaveConfig(lips=LipEncoderConfig(width=16, layers=1), vocoder=SOUND, **SIZES)
FINE = replace(CONVOLUTIONS, upsample=(8, 6, 5, 4), upsample_kernels=(16, 12, 11, 8), segment=1920)
FINER = replace(SMALL, sample_rate=24_000, vocoder=FINE)
KINDS = {"istft": SMALL, "hifigan": replace(SMALL, vocoder=CONVOLUTIONS), "24 kHz": FINER}


def batch_with_audio(lengths: list[int], config: WaveConfig = SMALL, beyond: int = 0) -> Batch:
    """Build a batch whose mels are those of its gliding voices; silence beyond a clip's end."""
    batch = batch_of(lengths, beyond, config)
    count, longest = batch["mask"].shape
    batch["f0"] = torch.linspace(110, 180, 4 * longest).expand(count, -1).clone()
    wave = 0.1 * torch.nn.functional.avg_pool1d(pulse_train(batch["f0"]), 5, 1, 2)
    batch["mel"] = LogMel()(wave)
    frame = config.sample_rate // 25
    batch["audio"] = torch.nn.functional.interpolate(wave[:, None], size=frame * longest, mode="linear")[:, 0]
    batch["audio"] = batch["audio"] * batch["mask"].repeat_interleave(frame, 1)
    return batch


def test_tiny_is_for_two_cores_and_paper_makes_960_samples() -> None:
    with torch.device("meta"):
        tiny, paper = (V2A(WAVE_PRESETS[name]) for name in ("tiny", "paper"))
        generator = paper.decoder.get_submodule("generator")
    assert 3e6 < sum(one.numel() for one in tiny.parameters()) < 5e6
    kernels, widths = (16, 12, 11, 8), (512, 256, 128, 64, 32)
    expected = 256 * 512 * 7 + 2 * 512 + 32 * 7 + 2  # first and last convolution with the lengths of weight norm
    for kernel, before, after in zip(kernels, widths, widths[1:], strict=False):
        expected += before * after * kernel + before + after
        expected += sum(6 * (after * after * size + 2 * after) for size in (3, 7, 11))
    assert sum(one.numel() for one in generator.parameters()) == expected
    assert WAVE_PRESETS["paper"].sample_rate == 24_000
    with pytest.raises(F2VError, match="did you mean 'tiny'"):
        WAVE_SPEC.preset("tinny")


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=st.lists(st.integers(1, 6), min_size=2, max_size=3), beyond=st.integers(0, 2))
@settings(max_examples=4, deadline=None)
@torch.no_grad()
def test_a_clip_alone_is_the_clip_in_a_batch(kind: str, lengths: list[int], beyond: int) -> None:
    config = KINDS[kind]
    quarter = config.sample_rate // 100
    torch.manual_seed(0)
    batch = batch_with_audio(lengths, config, beyond)
    for model in (randomized(V2A(config, (-5.0, 2.0)), spread=0.1), Autoencoder(config, (-5.0, 2.0)).eval()):
        assert isinstance(model, EncoderDecoder)
        output = model.synthesize(batch, torch.zeros(()))
        assert isinstance(output, WaveOutput)
        both = output.samples
        assert both.shape == (len(lengths), 4 * (max(lengths) + beyond), quarter)
        mels = model.to_mel(output, batch["mask"])
        for at, length in enumerate(lengths):
            single = model.synthesize(alone(batch, at), torch.zeros(()))
            assert isinstance(single, WaveOutput)
            one = single.samples
            # F0's last bit decides whether the harmonic nearest 8 kHz is still below it
            near = 5e-3 if kind == "istft" else 1e-4
            torch.testing.assert_close(both[at : at + 1, : 4 * length], one, atol=near, rtol=1e-4)
            assert not both[at, 4 * length :].any()
            mask = torch.ones(1, length, dtype=torch.bool)
            torch.testing.assert_close(
                mels[at : at + 1, : 4 * length], model.to_mel(single, mask), atol=5e-2, rtol=1e-2
            )


def test_mels_are_the_suite_s() -> None:
    model = Autoencoder(SMALL)
    wave = torch.from_numpy(babble(0.4))[None]
    mels = model.to_mel(WaveOutput(wave.view(1, 40, 160)), torch.ones(1, 10, dtype=torch.bool))
    torch.testing.assert_close(mels, LogMel()(wave))
    finer = Autoencoder(FINER)
    high = torch.from_numpy(babble(0.4, rate=24_000))[None]
    near = finer.to_mel(WaveOutput(high.view(1, 40, 240)), torch.ones(1, 10, dtype=torch.bool))
    assert float((near[:, 2:-2, :60] - LogMel()(wave)[:, 2:-2, :60]).abs().mean()) < 0.4


def test_pieces_are_of_the_clip_s_own_sound() -> None:
    """Samples, F0 and frames of a piece lie at the same moment, inside the clip."""
    x = torch.arange(24).view(2, 12)
    assert slice_segments(x, torch.tensor([3, 0]), 2).tolist() == [[3, 4], [12, 13]]
    torch.manual_seed(0)
    batch, model = batch_with_audio([9, 3]), V2A(SMALL).train()
    batch["audio"] = torch.arange(9 * 640.0).expand(2, -1) / 5760
    loss = model.compute_loss(batch)
    assert loss.real is not None
    assert loss.predicted is not None
    assert loss.real.shape == loss.predicted.shape == (2, 1280)
    firsts = (loss.real[:, 0] * 5760).round().int()
    assert (firsts % 640 == 0).all()
    assert int(firsts[1]) <= 640, "the second clip ends after three frames"
    assert model.compute_loss(batch_with_audio([9, 1])).predicted.shape == (2, 640)  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind: str) -> None:
    torch.manual_seed(0)
    model = V2A(KINDS[kind]).train()
    model.losses(batch_with_audio([6, 5], KINDS[kind]))["loss"].backward()  # type: ignore[no-untyped-call]
    for name, one in model.named_parameters():
        if ".norms.audio." not in name:
            assert one.grad is not None, name
            assert bool((one.grad != 0).any()), name


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"sample_rate": 24_000}, "vocoder.segment is 1280 samples"),
        ({"sample_rate": 24_000, "vocoder": replace(SOUND, segment=1920)}, "'istft' generator makes 16000 Hz"),
        ({"vocoder": replace(CONVOLUTIONS, upsample=(8, 5, 4, 2))}, "has the product 320"),
        ({"vocoder": replace(SOUND, segment=1000)}, "vocoder.segment is 1000 samples"),
    ],
)
def test_generators_that_miss_the_frame_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        V2A(replace(SMALL, **changes))


def test_a_finer_rate_is_read_from_the_file(tmp_path: Path) -> None:
    prepared = toy_prepared(tmp_path, [10])
    clip = write_clip(tmp_path / "v.mp4", 0.4)
    clips = ClipDataset(replace(prepared, clips=(clip,)))
    found = clip_audio_features(clips, 0, 24_000)
    assert found["audio"].shape == (9600,)
    assert float(np.corrcoef(found["audio"], babble(0.4, rate=24_000))[0, 1]) > 0.9
    assert set(clip_audio_features(clips, 0, None)) == {"mel"}


# -- trainings ---------------------------------------------------------------------------------------------------------

CONFIG = WaveConfig(
    preset="small", audio_stage=STAGE, pretraining=PretrainingConfig(segment=8), **SIZES, **GROUND | {"vocoder": SOUND}
)  # fmt: skip


def build_experiment(folder: Path, config: WaveConfig = CONFIG, **named: Any) -> V2AWaveExperiment:
    return V2AWaveExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    """Run a training from the first stage to the last."""
    return trained(build_experiment(tmp_path_factory.mktemp("whole") / "v2a-wave-demo"))


def test_a_training_ends_in_a_system_without_a_vocoder(whole: Path) -> None:
    file = whole / "weights.safetensors"
    system = SYSTEMS.load("v2a-wave")(SystemOptions(weights=str(file)))
    assert system.sample_rate == 16_000
    assert "Griffin-Lim" not in system.provenance
    synthesizer = Synthesizer(WAVE_SPEC.checkpoint(file), {}, "cpu")
    assert synthesizer.vocoder is None


def test_critics_join_at_their_step(whole: Path) -> None:
    """Of four steps they take two, which do not count as the model's."""
    found = read_checkpoint(whole / "main" / "last.ckpt", "", with_settings=True)
    assert found["global_step"] == 4
    steps = [
        int(next(iter(side["state"].values()))["step"]) if side["state"] else 0 for side in found["optimizer_states"]
    ]
    assert steps == [4, 2]
    never = replace(CONFIG, vocoder=replace(SOUND, adversarial_from=-1))
    assert AdversarialModule(V2A(never), never, {}).discriminators is None


@pytest.mark.slow
def test_sound_of_a_folder_is_learned_from(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder takes the place of the clips, and is listed once."""
    monkeypatch.setattr(
        "f2v_bench.training.data.audio_dataset.speaker_encoder",
        lambda: type("Ears", (), {"embed": lambda _, clips: np.ones((len(clips), 256), np.float32) / 16})(),
    )
    (tmp_path / "audio").mkdir()
    for at in range(5):
        soundfile.write(tmp_path / "audio" / f"{at}.flac", babble(0.6, at), 16_000)
    (tmp_path / "audio" / "bad.wav").write_bytes(b"none")
    told: list[str] = []
    pretraining = PretrainingConfig(folder=str(tmp_path / "audio"), shards=2, segment=8)
    config = replace(CONFIG, pretraining=pretraining, transfer=TransferConfig("joint"))
    training = build_experiment(tmp_path / "t", config, base=whole, log=told.append)
    for stage in ("audio", "main"):
        training.train(stage)
    file = training.export()
    assert file is not None
    assert "decoder (joint) pre-trained on the sound of 'audio'" in WAVE_SPEC.checkpoint(file).provenance
    assert any("5 files of" in text and "2 shards" in text for text in told)
    assert any("1 audio files are left out: unreadable_audio" in text for text in told)
    assert any("4 of 4" in text and "hours of audio an hour" in text for text in told)


@pytest.mark.slow
def test_one_voice_is_overfitted() -> None:
    """From noise features to one gliding voice, by spectra alone: the mel distance falls to a third."""
    torch.manual_seed(0)
    larger = replace(TINIEST, width=64, blocks=2, hidden=128, dropout=0.0)
    vocoder = VocoderConfig(
        generator="istft", width=64, blocks=2, hidden=128, pitch_width=32, pitch_blocks=1, segment=6400,
        adversarial_from=-1, mel_weight=45.0, spectral_weight=1.0, spectral_sizes=(640,),
    )  # fmt: skip
    sizes = {"video_encoder": larger, "conformer": larger, "bottleneck": BottleneckConfig("none"), "vocoder": vocoder}
    batch = batch_with_audio([10, 10], replace(SMALL, **sizes))
    model = V2A(replace(SMALL, **sizes), (float(batch["mel"].mean()), float(batch["mel"].std())))
    best = torch.optim.AdamW(model.parameters(), lr=2e-3)
    distances = []
    for _ in range(80):
        parts = model.losses(batch)
        distances.append(float(parts["mel_l1"].detach()))
        best.zero_grad()
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        best.step()
    assert distances[-1] < distances[0] / 3


def test_the_rate_follows_the_schedule_of_each_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slower decoder stays slower, and the critics have a peak of their own."""
    config = replace(
        CONFIG,
        main_stage=replace(STAGE, learning_rate=1e-2, warmup=4),
        vocoder_stage=replace(STAGE, learning_rate=1e-3),
    )
    module = AdversarialModule(V2A(config), config, {}, lr_factors={"decoder.": 0.1})
    sides = module.configure_optimizers()
    monkeypatch.setattr(module, "manual_backward", lambda _: None)
    for side, network in zip(sides, (module.network, module.discriminators), strict=True):
        assert network is not None
        module._update(side, network, torch.zeros(()), step=1)
    assert sorted({group["lr"] for group in sides[0].param_groups}) == pytest.approx([5e-4, 5e-3])
    assert [group["lr"] for group in sides[1].param_groups] == pytest.approx([5e-4, 5e-4])


def test_a_system_of_24_khz_declares_its_rate(tmp_path: Path) -> None:
    config = replace(FINER, lips=LIPS)
    file = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    lips = LipEncoder(LIPS).state_dict()
    model = V2A(config).state_dict()
    statistics = {"mel": (-5.0, 2.0)}
    save_checkpoint(
        file, WAVE_SPEC, config=config, statistics=statistics, facts=FACTS, model=model, lips=lips, vocoder=None
    )
    system = SYSTEMS.load("v2a-wave")(SystemOptions(weights=str(file)))
    assert system.sample_rate == 24_000
    (made,) = system._synthesizer.synthesize(
        [crops_of(3)], [np.random.default_rng(0)], [np.eye(256, dtype=np.float32)[0]]
    )
    assert made.shape == (3 * 960,)


def test_packaged_weights_share_the_lip_encoder_and_keep_the_decoder(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the base has a vocoder too."""
    monkeypatch.setattr(checkpoint, "shared_weights", lambda name: tmp_path / f"{name}.safetensors")
    file, base = whole / "weights.safetensors", tmp_path / "base.safetensors"
    with safe_open(file, "pt") as opened:
        lips = {name: opened.get_tensor(name) for name in opened.keys() if name.startswith("lips.")}  # noqa: SIM118
    save_file(lips | {"vocoder.x": torch.zeros(1)}, base)
    strip_shared(file, base, tmp_path / "lean.safetensors", WAVE_SPEC.vocoder_part)
    lean, full = WAVE_SPEC.checkpoint(tmp_path / "lean.safetensors"), WAVE_SPEC.checkpoint(file)
    assert lean.base == base
    assert lean.vocoder() is None
    assert lean.provenance == full.provenance
    ours, theirs = lean.lip_encoder().state_dict(), full.lip_encoder().state_dict()
    assert all(torch.equal(ours[name], one) for name, one in theirs.items())
