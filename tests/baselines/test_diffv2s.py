from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from baselines.diffv2s.config import (
    PRESETS,
    DenoiserConfig,
    DiffusionConfig,
    DiffV2SConfig,
    PromptEncoderConfig,
    VoiceConfig,
)
from baselines.diffv2s.model import DiffV2S
from baselines.diffv2s.spec import SPEC
from baselines.diffv2s.synthesis import DiffV2SSynthesizer
from baselines.diffv2s.train import DiffV2SExperiment, measure_mel_range
from f2v_bench.errors import F2VError
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.nn.losses.infonce import info_nce
from f2v_bench.registry import SYSTEMS
from f2v_bench.systems.base import SystemOptions
from tests.nn.test_transformer import awake, seeded
from tests.reference_model.small import crops_of
from tests.training.staged import (
    GROUND,
    TRAINING,
    refuse,
    train_options,
    trained,
)
from tests.training.toys import toy_features

TINIEST = PromptEncoderConfig(width=16, blocks=1, heads=2, prompts=2)
CONFIG = DiffV2SConfig(
    preset="small",
    video=TINIEST,
    audio=TINIEST,
    voice=VoiceConfig(face_channels=(4, 4, 8, 8), face_frames=2),
    denoiser=DenoiserConfig(width=16, blocks=1, heads=2, hidden=32),
    diffusion=DiffusionConfig(num_timesteps=100, steps=4, guidance=200.0),
    **GROUND,
)
STANDARD = (-5.0, 6.0)
LOUDEST = STANDARD[0] + STANDARD[1]


def small(**named: Any) -> DiffV2S:
    return awake(DiffV2S(replace(CONFIG, **named), STANDARD))


def batch_of(*lengths: int, seed: int = 0) -> Batch:
    """Build a training batch, every clip of another person; beyond each clip's end stands anything."""
    rng, longest, count = seeded(seed), max(lengths), len(lengths)
    return {
        "mask": valid_mask(torch.tensor(lengths), longest),
        "features": torch.randn(count, longest, *CONFIG.lips.outputs, generator=rng),
        "identity": torch.randint(256, (count, 2, 112, 112, 3), dtype=torch.uint8, generator=rng),
        "mel": STANDARD[0] + 2 * torch.randn(count, 4 * longest, 80, generator=rng),
        "speaker": functional.normalize(torch.rand(count, 256, generator=rng), dim=1),
        "person": torch.arange(count),
    }


def alone(batch: Batch, at: int) -> Batch:
    """Return one clip of a batch, without padding."""
    frames, longest = int(batch["mask"][at].sum()), batch["mask"].shape[1]
    cut = {"mask": frames, "features": frames, "mel": 4 * frames}
    one = {name: tensor[at : at + 1] for name, tensor in batch.items()}
    assert longest >= frames
    return {name: tensor[:, : cut[name]] if name in cut else tensor for name, tensor in one.items()}


# sizes


def test_the_paper_s_size_is_counted_by_hand() -> None:
    """Blocks of 512 channels and 2048 between; 25 layers of 1024 seen, 320 mel values a video frame."""
    with torch.device("meta"):
        network = DiffV2S(PRESETS["paper"])
    norm = 2 * 512
    block = 512 * 1536 + 1536 + 512 * 512 + 512 + 512 * 2048 + 2048 + 2048 * 512 + 512 + 2 * norm
    reader = 4 * 512 + 2 * block + norm + 512 * 256 + 256
    denoiser = norm + (320 + 512 + 256) * 512 + 512 + 2 * (512 * 512 + 512) + 8 * block + norm + 512 * 320 + 320
    wanted = 25 + 1024 * 512 + 512 + reader + 320 * 512 + 512 + reader + denoiser
    assert sum(parameter.numel() for parameter in network.parameters()) == wanted == 40_035_673
    assert denoiser == 26_468_160


def test_tiny_is_tiny_and_others_are_refused() -> None:
    with torch.device("meta"):
        network = DiffV2S(PRESETS["tiny"])
    assert 3e6 < sum(parameter.numel() for parameter in network.parameters()) < 5e6
    with pytest.raises(F2VError, match="no preset 'base'"):
        SPEC.preset("base")
    assert set(PRESETS) == {"tiny", "paper"}


# mels


def test_mels_are_scaled_and_back_again() -> None:
    network, mel = small(), STANDARD[0] + 5.9 * (2 * torch.rand(2, 12, 80, generator=seeded()) - 1)
    clean = network.scale(mel)
    assert clean.shape == (2, 3, 320)
    assert clean.abs().max() <= 1
    torch.testing.assert_close(network.unscale(clean), mel, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(clean[1, 2, 80:160], (mel[1, 9] - STANDARD[0]) / STANDARD[1])
    assert (network.scale(mel + 50) == 1).all()


def test_the_range_is_from_the_floor_to_a_quantile() -> None:
    clips = [toy_features(5, 0), toy_features(8, 1)]
    center, reach = measure_mel_range(clips, 0.9)
    values = np.concatenate([one.mel.ravel() for one in clips])
    assert center - reach == pytest.approx(np.log(1e-5))
    assert center + reach == pytest.approx(np.quantile(values, 0.9))


# training


def test_the_loss_is_l1_and_four_contrasts() -> None:
    network, batch = small(), batch_of(6, 4, 5)
    batch["person"] = torch.tensor([3, 1, 3])
    torch.manual_seed(0)
    parts = network.losses(batch)
    face = network.encode_video(batch)[1]
    heard = network.encode_audio(network.scale(batch["mel"]), batch["mask"])
    teacher = batch["speaker"]
    wanted = {
        "face_teacher": (face, teacher), "voice_teacher": (heard, teacher),
        "face_voice": (face, heard), "voice_face": (heard, face),
    }  # fmt: skip
    assert parts.keys() == {*wanted, "l1", "loss"}
    for name, pair in wanted.items():
        torch.testing.assert_close(parts[name], info_nce(*pair, batch["person"], CONFIG.voice.temperature))
    rest = sum(parts[name] for name in wanted)
    torch.testing.assert_close(parts["loss"], parts["l1"] + CONFIG.voice.weight * rest)


def test_the_l1_is_that_of_the_clean_mel_over_real_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = small(), batch_of(6, 4)
    clean, inside = network.scale(batch["mel"]), batch["mask"][..., None]
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def denoised(x: torch.Tensor, t: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        seen.append((x, t))
        return torch.where(inside, clean + 0.25, clean + 9)

    monkeypatch.setattr(network, "predict_x0", denoised)
    torch.testing.assert_close(network.losses(batch)["l1"], torch.tensor(0.25))
    for _ in range(60):
        network.losses(batch)
    times = torch.cat([t for _, t in seen])
    assert (int(times.min()), int(times.max())) >= (1, 90)
    assert int(times.max()) <= 100
    (x, t), a = seen[0], network.alphas
    noise = (x - a[t].sqrt()[:, None, None] * clean) / (1 - a[t]).sqrt()[:, None, None]
    assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_an_audio_embedding_replaces_the_face_embedding_in_training() -> None:
    """The denoiser may have the heard voice, but does not teach its prompts; those of the face it does."""
    for share, face_learns in ((1.0, False), (0.0, True)):
        network, batch = small(voice=replace(CONFIG.voice, audio_prob=share)).train(), batch_of(6, 4)
        network.losses(batch)["l1"].backward()
        assert network.audio.prompts.grad is None
        learned = network.video.prompts.grad
        assert (learned is not None and bool(learned.any())) == face_learns


@pytest.mark.slow
def test_four_clips_are_overfitted() -> None:
    """From the lips and any noise: the L1 of log mels falls from 1.6 nats, that of their mean, to a fifth."""
    torch.manual_seed(0)
    reader = replace(TINIEST, width=64, heads=2, dropout=0.0)
    config = replace(
        CONFIG,
        video=reader,
        audio=reader,
        denoiser=DenoiserConfig(width=128, blocks=2, heads=2, hidden=256, dropout=0.0),
    )
    network, batch = DiffV2S(config, STANDARD), batch_of(10, 8, 10, 6)
    steps = 300
    best = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(best, 3e-3, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        best.zero_grad()
        parts = network.losses(batch)
        parts["loss"].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        best.step()
        schedule.step()
    network.eval()
    inside = batch["mask"].repeat_interleave(4, 1)[..., None]

    def distance(mel: torch.Tensor) -> float:
        return float(((mel - batch["mel"]).abs() * inside).sum() / (80 * inside.sum()))

    assert distance(torch.full_like(batch["mel"], STANDARD[0])) > 1.5
    noise = torch.randn(batch["mel"].shape, generator=seeded())
    for guidance in (0.0, 10.0):
        assert distance(network.sample(batch, noise, steps=10, guidance=guidance).detach()) < 0.35
    assert float(parts["face_teacher"].detach()) < 0.2
    assert float(parts["face_voice"].detach()) < 0.2


# sampling


@pytest.mark.parametrize("guidance", [0.0, 500.0])
def test_a_clip_in_a_batch_is_the_clip_alone(guidance: float) -> None:
    network, batch = small(), batch_of(9, 1, 5)
    noise = torch.randn(batch["mel"].shape, generator=seeded(3))
    together = network.synthesize(batch, noise, guidance=guidance).mel
    assert together.std() > 0.1
    for at, frames in enumerate((9, 1, 5)):
        one = slice(at, at + 1)
        made = network.synthesize(alone(batch, at), noise[one, : 4 * frames], guidance=guidance).mel
        assert made.shape == (1, 4 * frames, 80)
        torch.testing.assert_close(together[one, : 4 * frames], made, atol=1e-3, rtol=1e-3)


def test_guidance_leads_to_the_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a denoiser that only shrinks and an ear that takes the mean: the stronger, the nearer, in each clip alike."""
    network, batch = small(), batch_of(9, 5)
    mask = batch["mask"][..., None]

    def heard(clean: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return functional.normalize((clean * mask).sum(1)[:, :256], dim=1)

    monkeypatch.setattr(network, "predict_x0", lambda x, *_: 0.5 * x)
    monkeypatch.setattr(network, "encode_audio", heard)
    batch["voice"] = functional.normalize(torch.randn(2, 256, generator=seeded(4)), dim=1)
    noise = torch.randn(batch["mel"].shape, generator=seeded(3))

    def apart(guidance: float) -> torch.Tensor:
        mel = network.synthesize(batch, noise, steps=10, guidance=guidance).mel
        return 1 - (heard(network.scale(mel), batch["mask"]) * batch["voice"]).sum(1)

    none, some, much = (apart(guidance) for guidance in (0.0, 1.0, 10.0))
    assert (some < 0.9 * none).all()
    assert (much < 0.95 * some).all()


def test_no_guidance_is_plain_ddim_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = small(), batch_of(6, 4)
    noise = torch.randn(batch["mel"].shape, generator=seeded(3))
    weak = network.synthesize(batch, noise, guidance=1e-9).mel
    monkeypatch.setattr(network, "encode_audio", refuse)
    torch.testing.assert_close(network.synthesize(batch, noise, guidance=0.0).mel, weak, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("guidance", [0.0, 50.0])
def test_every_step_is_one_evaluation(guidance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = small(), batch_of(3)
    calls: list[float] = []
    network.denoiser.register_forward_pre_hook(lambda _, given: calls.append(float(given[1])))
    network.synthesize(batch, torch.zeros_like(batch["mel"]), steps=5, guidance=guidance)
    assert calls == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert all(parameter.grad is None for parameter in network.parameters())
    with pytest.raises(F2VError, match="take 101 steps"):
        network.synthesize(batch, torch.zeros_like(batch["mel"]), steps=101)


def test_a_given_voice_takes_the_place_of_the_face_s() -> None:
    network, batch = small(), batch_of(6)
    noise = torch.randn(batch["mel"].shape, generator=seeded(3))
    face = network.encode_video(batch)[1].detach()
    plain = network.synthesize(batch, noise).mel
    torch.testing.assert_close(network.synthesize(batch | {"voice": face}, noise).mel, plain)
    assert (network.synthesize(batch | {"voice": -face}, noise).mel - plain).abs().max() > 0.01


def test_the_paper_s_form_looks_at_no_face() -> None:
    network, batch = small(voice=replace(CONFIG.voice, face_channels=())), batch_of(4)
    del batch["identity"]
    assert network.synthesize(batch, torch.zeros_like(batch["mel"])).mel.shape == (1, 16, 80)


# training and the system


def build_experiment(folder: Path, config: DiffV2SConfig = CONFIG, **named: Any) -> DiffV2SExperiment:
    return DiffV2SExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    """Run a training from the first stage to the last."""
    return trained(build_experiment(tmp_path_factory.mktemp("whole") / "diffv2s-demo"))


def test_guidance_of_an_untrained_embedding_is_refused(tmp_path: Path) -> None:
    """With one speaker every contrast is that of a clip with itself: the loss is 0 whatever the voices are."""
    with pytest.raises(F2VError, match="all training clips are of one speaker") as raised:
        build_experiment(tmp_path / "one", clips=TRAINING[:1])
    assert "diffusion.guidance=0" in str(raised.value)
    assert not (tmp_path / "one").exists()
    unguided = replace(CONFIG, diffusion=replace(CONFIG.diffusion, guidance=0.0))
    assert build_experiment(tmp_path / "other", unguided, clips=TRAINING[:1]).config.diffusion.guidance == 0


def test_a_training_ends_in_a_system(whole: Path) -> None:
    file = whole / "weights.safetensors"
    weights = SPEC.checkpoint(file)
    assert weights.config == CONFIG
    center, reach = weights.statistics["mel"]
    assert center - reach == pytest.approx(np.log(1e-5))
    system = SYSTEMS.load("diffv2s")(SystemOptions(weights=str(file)))
    assert system.speaker_reference == "face"
    assert "4 evaluations of the denoiser, each with its gradient, speaker guidance 200" in system.provenance
    assert weights.nfe == 4
    assert "4 evaluations" in weights.describe()["sampling"]
    one, other = system.synthesize_crops([crops_of(5), crops_of(2, 1)], ["somebody", "else"], 0)
    assert (one.samples.shape, other.samples.shape) == ((3200,), (1280,))


def test_settings_are_checked_before_synthesis(whole: Path) -> None:
    file = str(whole / "weights.safetensors")
    kind = SYSTEMS.load("diffv2s")
    fast = kind(SystemOptions(weights=file, settings={"steps": "2", "guidance": "0"}))
    assert "2 evaluations of the denoiser, no gradients, speaker guidance 0" in fast.provenance
    assert len(fast.synthesize_crops([crops_of(3)], ["somebody"], 0)[0].samples) == 1920
    with pytest.raises(F2VError, match="take 101 steps"):
        kind(SystemOptions(weights=file, settings={"steps": "101"}))
    with pytest.raises(F2VError, match="no setting 'eta'"):
        kind(SystemOptions(weights=file, settings={"eta": "1"}))


def test_a_recording_is_embedded(whole: Path) -> None:
    synthesizer = DiffV2SSynthesizer(SPEC.checkpoint(whole / "weights.safetensors"), {}, "cpu")
    rng = np.random.default_rng(0)
    for samples in (100, 640, 5000):
        voice = synthesizer.embed_speaker(rng.uniform(-0.1, 0.1, samples).astype(np.float32))
        assert voice.shape == (256,)
        assert np.linalg.norm(voice) == pytest.approx(1, abs=1e-5)
    (made,) = synthesizer.synthesize([crops_of(4)], [np.random.default_rng(0)], [voice])
    assert made.shape == (2560,)
