from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.v2a.config import (
    MEL_PRESETS,
    MelConfig,
    TransferConfig,
    TransferMode,
    V2AConfig,
)
from baselines.v2a.model import V2A, Autoencoder
from baselines.v2a.spec import MEL_SPEC
from baselines.v2a.train import V2AMelExperiment, load_pretrained
from f2v_bench.errors import F2VError
from f2v_bench.modeling.audio_encoder import BottleneckConfig, PretrainingConfig
from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.shared_config import StageConfig
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.nn.layers.domain_batchnorm import Form
from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.training.audio_checkpoint import read_pretrained, write_pretrained
from f2v_bench.training.audio_pretraining import FILE
from f2v_bench.training.module import ModelModule
from tests.nn.published import randomized
from tests.training.staged import (
    GROUND,
    STAGE,
    open_voiced_system,
    same_state,
    state,
    train_options,
    trained,
)

TINIEST = ConformerConfig(width=16, blocks=1, heads=2, hidden=32, kernel=5)
SIZES: dict[str, Any] = {"video_encoder": TINIEST, "audio_encoder": TINIEST, "conformer": TINIEST}
SMALL = MelConfig(lips=LipEncoderConfig(width=16, layers=1), **SIZES)
FORMS: tuple[Form, ...] = get_args(Form)


def voices(count: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.rand(count, 256, generator=torch.Generator().manual_seed(9)), dim=1)


def batch_of(lengths: list[int], beyond: int = 0, config: V2AConfig = SMALL) -> Batch:
    """Build a batch of random clips; beyond each clip's end stands anything but zeros."""
    rng, longest, count = torch.Generator().manual_seed(0), max(lengths) + beyond, len(lengths)
    return {
        "mask": valid_mask(torch.tensor(lengths), longest),
        "features": torch.randn(count, longest, *config.lips.outputs, generator=rng),
        "mel": -5 + 2 * torch.randn(count, 4 * longest, 80, generator=rng),
        "speaker": voices(count),
        "step": torch.tensor(0),
    }


def alone(batch: Batch, clip: int) -> Batch:
    length = int(batch["mask"][clip].sum())
    cut = {"mask": length, "features": length, "mel": 4 * length, "audio": 640 * length, "f0": 4 * length}
    return {name: batch[name][clip : clip + 1, :count] for name, count in cut.items() if name in batch} | {
        "speaker": batch["speaker"][clip : clip + 1]
    }


# -- the networks ------------------------------------------------------------------------------------------------------


def test_the_paper_s_sizes_are_svts_s() -> None:
    """ResNet-18, a Conformer of 6 x 256 and a linear layer: 27.3 million, two numbers a channel and norm more."""
    paper = MEL_PRESETS["paper"]
    with torch.device("meta"):
        count, shared = (
            sum(one.numel() for one in V2A(replace(paper, domain_norm=form)).parameters())
            for form in ("separate-stats+affine", "shared")
        )
        hearing = Autoencoder(paper)
    assert shared / 1e6 == pytest.approx(27.3, abs=0.1)
    assert count - shared == 6 * 2 * 256
    conformer = 2 * 2_639_616 + 320 * 256 + 256
    assert sum(one.numel() for one in hearing.audio_frontend.parameters()) == conformer + 256 * 512 + 512


def test_tiny_is_for_two_cores() -> None:
    with torch.device("meta"):
        count = sum(one.numel() for one in V2A(MEL_PRESETS["tiny"]).parameters())
    assert 3e6 < count < 5e6
    with pytest.raises(F2VError, match="no preset 'huge'"):
        MEL_SPEC.preset("huge")


@pytest.mark.parametrize("kind", ["none", "dim", "mask"])
@given(lengths=st.lists(st.integers(1, 8), min_size=2, max_size=3), beyond=st.integers(0, 3))
@settings(max_examples=5)
@torch.no_grad()
def test_padding_changes_nothing(kind: Any, lengths: list[int], beyond: int) -> None:
    config = replace(SMALL, bottleneck=BottleneckConfig(kind, channels=3))
    torch.manual_seed(0)
    batch = batch_of(lengths, beyond)
    noise = torch.zeros(())
    for model in (randomized(V2A(config, (-5.0, 2.0))), randomized(Autoencoder(config, (-5.0, 2.0)))):
        both = model.eval().synthesize(batch, noise).mel
        assert both.shape == (len(lengths), 4 * (max(lengths) + beyond), 80)
        for at, length in enumerate(lengths):
            torch.testing.assert_close(
                both[at : at + 1, : 4 * length], model.synthesize(alone(batch, at), noise).mel, atol=1e-4, rtol=1e-5
            )


@torch.no_grad()
def test_from_pictures_as_in_the_paper() -> None:
    torch.manual_seed(0)
    model = V2A(
        replace(SMALL, frontend=VisualFrontendConfig("resnet"), video_encoder=replace(TINIEST, blocks=0))
    ).eval()
    pictures = torch.randint(256, (2, 3, 96, 96), dtype=torch.uint8)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    both = model.synthesize({"lips": pictures, "mask": mask, "speaker": voices(2)}, torch.zeros(())).mel
    one = {"lips": pictures[1:, :1], "mask": mask[1:, :1], "speaker": voices(2)[1:]}
    torch.testing.assert_close(both[1:, :4], model.synthesize(one, torch.zeros(())).mel, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_speaker_embedding_moves_the_output() -> None:
    torch.manual_seed(0)
    model, batch = V2A(SMALL).eval(), batch_of([5])
    one, other = (
        model.synthesize(batch | {"voice": torch.eye(256)[at : at + 1]}, torch.zeros(())).mel for at in (0, 1)
    )
    assert not torch.allclose(one, other, atol=1e-3)


@torch.no_grad()
def test_a_narrow_bottleneck_lets_few_numbers_through() -> None:
    torch.manual_seed(0)
    hearing = Autoencoder(replace(SMALL, bottleneck=BottleneckConfig("dim", channels=3))).eval().audio_frontend
    z = hearing(batch_of([9, 9]))
    assert z.shape == (2, 9, 512)
    assert int(torch.linalg.matrix_rank(z.flatten(0, 1) - z.flatten(0, 1).mean(0))) == 3
    wide = Autoencoder(replace(SMALL, bottleneck=BottleneckConfig("none"))).eval().audio_frontend(batch_of([9, 9]))
    assert int(torch.linalg.matrix_rank(wide.flatten(0, 1), atol=1e-4)) > 3


@torch.no_grad()
def test_a_masked_bottleneck_hides_spans_in_training_alone() -> None:
    torch.manual_seed(0)
    config = BottleneckConfig("mask", mask_prob=0.4, mask_length=4)
    bottleneck = Autoencoder(replace(SMALL, bottleneck=config)).audio_frontend.bottleneck
    z, mask = torch.randn(40, 50, 512), torch.ones(40, 50, dtype=torch.bool)
    assert torch.equal(bottleneck.eval()(z, mask), z)
    through = bottleneck.train()(z, mask)
    hidden = (through == bottleneck.mask_embedding).all(2)
    assert 0.25 < float(hidden.float().mean()) < 0.45
    assert torch.equal(through[~hidden], z[~hidden])
    starts = hidden & ~torch.nn.functional.pad(hidden, (1, 0))[:, :-1]
    assert float(hidden.sum() / starts.sum()) >= 3.5, "frames are hidden in spans"


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (BottleneckConfig("dim", channels=512), "bottleneck of 512 channels"),
        (BottleneckConfig("mask", mask_prob=1.0), "masks 1 of the frames"),
    ],
)
def test_bottlenecks_that_are_none_are_refused(config: BottleneckConfig, text: str) -> None:
    with pytest.raises(F2VError, match=text):
        Autoencoder(replace(SMALL, bottleneck=config))


# -- the transfer ------------------------------------------------------------------------------------------------------


def handed_over(
    folder: Path, how: TransferMode, form: Form = "separate-stats+affine", **named: Any
) -> tuple[Autoencoder, V2A]:
    """Return an autoencoder with random weights, and a model that starts from its decoder."""
    config = replace(SMALL, domain_norm=form, transfer=TransferConfig(how, **named))
    torch.manual_seed(0)
    heard = randomized(Autoencoder(config, (-5.0, 2.0)))
    write_pretrained(folder / FILE, "v2a-mel", config, {"mel": (-5.0, 2.0)}, "2 h of noise", heard.state_dict())
    found = read_pretrained(folder / FILE, "v2a-mel", config, V2AMelExperiment.sizes)
    assert (found.statistics, found.trained_on) == ({"mel": (-5.0, 2.0)}, "2 h of noise")
    torch.manual_seed(1)
    model = V2A(config, found.statistics["mel"], joint=how == "joint")
    load_pretrained(found, model)
    assert isinstance(heard, Autoencoder)
    return heard, model


def stepped(model: V2A, steps: int = 3, lr_factors: dict[str, float] | None = None, **batch: Any) -> set[str]:
    """Tensors that a training moves."""
    stage = StageConfig(steps=100, warmup=0, learning_rate=1e-2, precision="32-true")
    module = ModelModule(model, SMALL, {"mel": (-5.0, 2.0)}, stage=stage, lr_factors=lr_factors)
    best = module.configure_optimizers()["optimizer"]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    for step in range(steps):
        best.zero_grad()
        model.losses(batch_of([6, 5]) | {"step": torch.tensor(step), **batch})["loss"].backward()
        best.step()
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_a_loaded_decoder_has_equal_output(tmp_path: Path, form: Form) -> None:
    heard, model = handed_over(tmp_path, "init", form)
    batch = batch_of([7, 4])
    z = torch.randn(2, 7, 512)
    expected = heard.eval().decoder.synthesize(z, batch["speaker"], batch["mask"]).mel
    torch.testing.assert_close(model.eval().decoder.synthesize(z, batch["speaker"], batch["mask"]).mel, expected)


@pytest.mark.parametrize(
    ("form", "moved"),
    [
        ("shared", set()),
        ("separate-stats", {"running_mean", "running_var", "num_batches_tracked"}),
        ("separate-stats+affine", {"running_mean", "running_var", "num_batches_tracked", "weight", "bias"}),
    ],
)
def test_a_frozen_decoder_keeps_what_is_not_the_video_s_own(tmp_path: Path, form: Form, moved: set[str]) -> None:
    _, model = handed_over(tmp_path, "init+frozen", form)
    names = stepped(model)
    own = "decoder.conformer.blocks.0.convolution.norm.norms.video."
    assert {name for name in names if name.startswith("decoder.")} == {own + name for name in moved}
    assert {name for name in model.state_dict() if name.startswith("encoder.")} <= names


def test_every_part_of_the_decoder_learns_where_it_should(tmp_path: Path) -> None:
    for how in ("init", "low-lr", "joint"):
        (tmp_path / how).mkdir()
        _, model = handed_over(tmp_path / how, how)
        names = stepped(model)
        assert {name for name, _ in model.decoder.named_parameters() if ".norms.audio." not in name} <= {
            name.removeprefix("decoder.") for name in names
        }, how


def test_forms_differ_only_where_two_domains_meet(tmp_path: Path) -> None:
    """After a decoder is handed over, the statistics of lips alone are the same whoever owns them."""
    audio = batch_of([8, 8])
    heard = {f"audio_{name}": 3 * audio[name] for name in ("mel", "speaker")} | {"audio_frames": torch.tensor([8, 8])}

    def said(how: TransferMode, form: Form) -> torch.Tensor:
        _, model = handed_over(tmp_path, how, form)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        stepped(model, **(heard if how == "joint" else {}))
        with torch.no_grad():
            return model.eval().synthesize(batch_of([6, 5]), torch.zeros(())).mel

    for how, same in (("init", True), ("init+frozen", False), ("joint", False)):
        shared, stats = (said(how, form) for form in FORMS[:2])  # type: ignore[arg-type]
        assert (float((shared - stats).abs().mean()) < 0.01) == same, how


def test_a_decoder_is_unfrozen_at_its_step(tmp_path: Path) -> None:
    def learned(steps: int) -> bool:
        _, model = handed_over(tmp_path, "frozen-then-unfrozen", unfreeze_at=3)
        return "decoder.out_proj.weight" in stepped(model, steps)

    assert not learned(3)
    assert learned(4)
    _, model = handed_over(tmp_path, "frozen-then-unfrozen", unfreeze_at=3)
    model.eval().losses({name: one for name, one in batch_of([4]).items() if name != "step"})  # as in validation


def test_a_low_rate_is_a_share_of_the_others(tmp_path: Path) -> None:
    """AdamW's first step is as long as its rate, whatever the gradient."""
    _, model = handed_over(tmp_path, "low-lr")
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    stepped(model, 1, {"decoder.": 0.1})
    moves = {
        name: float((model.get_parameter(f"{name}.bias").detach() - before[f"{name}.bias"]).abs().max())
        for name in ("decoder.out_proj", "encoder.out_proj")
    }
    assert moves["encoder.out_proj"] == pytest.approx(1e-2, rel=1e-3)
    assert moves["decoder.out_proj"] == pytest.approx(1e-3, rel=1e-3)


def test_a_joint_training_uses_the_audio_domain(tmp_path: Path) -> None:
    """The audio's loss is added with its weight, and only its own statistics follow it."""
    _, model = handed_over(tmp_path, "joint", audio_weight=0.5)
    video, audio = batch_of([6, 5]), batch_of([8, 8])
    heard = {f"audio_{name}": audio[name] for name in ("mel", "speaker")} | {"audio_frames": torch.tensor([8, 3])}
    parts = model.eval().losses(video | heard)
    plain = model.losses(video)
    assert "audio_l1" not in plain
    assert float(parts["loss"]) == pytest.approx(float(plain["loss"] + 0.5 * parts["audio_loss"]), rel=1e-5)
    loud = {"audio_mel": audio["mel"].clone()}
    loud["audio_mel"][1, 12:] = 50.0  # beyond the piece's end
    assert float(model.losses(video | heard | loud)["loss"]) == pytest.approx(float(parts["loss"]), rel=1e-5)
    moved = stepped(model, **heard)
    assert {name for name in model.state_dict() if "norm.norms" in name} <= moved
    assert any(name.startswith("audio_frontend.") for name in moved)


def test_decoders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    handed_over(tmp_path, "init")
    with pytest.raises(F2VError, match="is a decoder of 'v2a-mel', not of 'v2a-wave'"):
        read_pretrained(tmp_path / FILE, "v2a-wave", SMALL, V2AMelExperiment.sizes)
    other = replace(SMALL, conformer=replace(TINIEST, heads=4))
    with pytest.raises(F2VError, match="other settings under 'conformer'"):
        read_pretrained(tmp_path / FILE, "v2a-mel", other, V2AMelExperiment.sizes)
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(F2VError, match="not a pre-trained audio decoder"):
        read_pretrained(tmp_path / "text", "v2a-mel", SMALL, V2AMelExperiment.sizes)
    hearing = V2A(replace(SMALL, audio_encoder=replace(TINIEST, blocks=2)), joint=True)
    with pytest.raises(F2VError, match="does not fit AudioFrontend"):
        load_pretrained(read_pretrained(tmp_path / FILE, "v2a-mel", SMALL, V2AMelExperiment.sizes), hearing)


# -- trainings ---------------------------------------------------------------------------------------------------------

CONFIG = MelConfig(preset="small", audio_stage=STAGE, pretraining=PretrainingConfig(segment=8), **SIZES, **GROUND)


def build_experiment(folder: Path, config: MelConfig = CONFIG, **named: Any) -> V2AMelExperiment:
    return V2AMelExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    """Run a training from the first stage to the last."""
    return trained(build_experiment(tmp_path_factory.mktemp("whole") / "v2a-mel-demo"))


def test_a_training_ends_in_a_system(whole: Path) -> None:
    file = whole / "weights.safetensors"
    weights = MEL_SPEC.checkpoint(file)
    assert weights.config == CONFIG
    assert set(weights.facts.stages) == set(V2AMelExperiment.stages)
    assert "decoder (init) pre-trained on the sound of the same clips" in open_voiced_system("v2a-mel", file).provenance


def test_more_steps_of_audio_are_loaded_too(whole: Path, tmp_path: Path) -> None:
    """The file of a pre-training that goes on is written anew."""
    build_experiment(tmp_path / "t", base=whole).train("audio")
    before = read_pretrained(tmp_path / "t" / FILE, "v2a-mel", CONFIG, V2AMelExperiment.sizes)
    longer = replace(CONFIG, audio_stage=replace(STAGE, steps=6))
    build_experiment(tmp_path / "t", longer, base=whole).train("audio")
    after = read_pretrained(tmp_path / "t" / FILE, "v2a-mel", CONFIG, V2AMelExperiment.sizes)
    assert (before.trained_on.split(", ")[1], after.trained_on.split(", ")[1]) == ("4 steps", "6 steps")
    assert not torch.equal(before.state["decoder.out_proj.weight"], after.state["decoder.out_proj.weight"])


def test_the_main_stage_asks_for_the_one_before(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(F2VError, match=r"the stage 'audio' in .* has 0 of 4 steps"):
        build_experiment(tmp_path / "hasty", base=whole).train("main")


def test_a_decoder_from_scratch_needs_no_audio(whole: Path, tmp_path: Path) -> None:
    training = build_experiment(tmp_path / "scratch", replace(CONFIG, transfer=TransferConfig("scratch")), base=whole)
    for stage in ("audio", "main"):
        training.train(stage)
    file = training.export()
    assert file is not None
    assert not (tmp_path / "scratch" / "audio").exists()
    assert "decoder from scratch" in MEL_SPEC.checkpoint(file).provenance


def test_a_decoder_of_another_training_initializes_it(whole: Path, tmp_path: Path) -> None:
    """And the same steps lead to the same weights, whoever pre-trained it."""
    pretraining = replace(CONFIG.pretraining, decoder=str(whole / FILE))
    told: list[str] = []
    training = build_experiment(
        tmp_path / "second", replace(CONFIG, pretraining=pretraining), base=whole, log=told.append
    )
    training.train("audio")
    training.train("main")
    assert same_state(whole, tmp_path / "second")
    assert any("pre-trained on" in text and "4 steps" in text for text in told)


@pytest.mark.parametrize("how", ["joint", "init+frozen", "low-lr"])
def test_other_transfers_train_and_ship_no_ears(whole: Path, tmp_path: Path, how: TransferMode) -> None:
    pretraining = replace(CONFIG.pretraining, decoder=str(whole / FILE))
    config = replace(CONFIG, pretraining=pretraining, transfer=TransferConfig(how))
    training = build_experiment(tmp_path / "t", config, base=whole)
    training.train("main")
    kept = {name.partition(".")[2].partition(".")[0] for name in state(tmp_path / "t") if name.startswith("network.")}
    assert ("audio_frontend" in kept) == (how == "joint")
    file = training.export()
    assert file is not None
    assert MEL_SPEC.checkpoint(file).model().audio_frontend is None


@pytest.mark.slow
def test_four_clips_are_overfitted() -> None:
    """Sound to itself, then noise features to that sound with the decoder: both fall well under a mean mel's 1.6."""
    torch.manual_seed(0)
    larger = replace(TINIEST, width=64, blocks=2, hidden=128, dropout=0.0)
    sizes = {
        "video_encoder": larger,
        "audio_encoder": larger,
        "conformer": larger,
        "bottleneck": BottleneckConfig("none"),
    }
    config, batch = replace(SMALL, **sizes), batch_of([10, 8, 10, 6])
    for model, most in ((Autoencoder(config, (-5.0, 2.0)), 0.3), (V2A(config, (-5.0, 2.0)), 0.2)):
        best = torch.optim.AdamW(model.parameters(), lr=3e-3)
        first = float(model.losses(batch)["l1"].detach())
        for _ in range(250):
            best.zero_grad()
            model.losses(batch)["loss"].backward()
            best.step()
        assert first > 1.4
        assert float(model.losses(batch)["l1"].detach()) < most


@pytest.mark.parametrize("how", [how for how in get_args(TransferMode) if how != "joint"])
def test_no_weight_waits_for_a_gradient_that_never_comes(tmp_path: Path, how: TransferMode) -> None:
    """What wants one gets one, as training on several devices asks."""
    _, model = handed_over(tmp_path, how)
    model.train().losses(batch_of([6, 5]) | {"step": torch.tensor(1000)})["loss"].backward()
    assert {name for name, one in model.named_parameters() if one.requires_grad} == {
        name for name, one in model.named_parameters() if one.grad is not None
    }
