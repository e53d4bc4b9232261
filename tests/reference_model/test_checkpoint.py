"""Weight files: saved and loaded in half precision, other files refused with a message."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from f2v_bench.errors import F2VError
from f2v_bench.modeling import checkpoint as module
from f2v_bench.modeling.checkpoint import save_checkpoint, strip_shared, write_shared
from f2v_bench.nn.encoders.lip_encoder import LipEncoder
from reference_model.ablations import model_class
from reference_model.flow import FlowMatching
from reference_model.model import FacesToVoices
from reference_model.spec import SPEC
from tests.nn.test_transformer import awake
from tests.reference_model.small import (
    ABLATIONS,
    FACTS,
    SMALL,
    STATISTICS,
    earlier_name,
    save_small,
    small_lips,
    small_vocoder,
)

HALF = 2**-11  # largest relative error of rounding to half precision
TINIEST = 2**-25  # and the absolute one, near 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save_small(tmp_path / "small.safetensors")


@pytest.fixture
def weights_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the packaged weights by those of a folder."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    monkeypatch.setattr(module, "model_weights", lambda _: {file.stem: file for file in sorted(folder.iterdir())})
    return folder


def assert_near(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        error = (found[name] - tensor).abs()
        assert (error <= HALF * tensor.abs() + TINIEST).all(), name


def test_saved_weights_are_loaded_rounded_to_half_precision(file: Path) -> None:
    weights = SPEC.checkpoint(file)
    assert weights.config == SMALL
    assert weights.statistics == asdict(STATISTICS)
    assert weights.facts == FACTS
    model, vocoder = weights.model(), weights.vocoder()
    assert_near(model.state_dict(), awake(FacesToVoices(SMALL, STATISTICS)).state_dict())
    assert_near(weights.lip_encoder().encoder.state_dict(), small_lips().encoder.state_dict())
    assert vocoder is not None
    assert_near(vocoder.state_dict(), small_vocoder().state_dict())
    for part in (model, vocoder, weights.lip_encoder()):
        assert not part.training
        assert not any(parameter.requires_grad for parameter in part.parameters())


def test_means_and_deviations_are_not_rounded(tmp_path: Path) -> None:
    statistics = replace(STATISTICS, mel=(-5.123456, 2.345678))
    config = replace(SMALL, ablate="prosody")
    save_checkpoint(
        tmp_path / "w", SPEC, config=config, statistics=asdict(statistics), facts=FACTS,
        model=FacesToVoices(config, statistics).state_dict(), lips=None, vocoder=None,
    )  # fmt: skip
    model = SPEC.checkpoint(tmp_path / "w").model()
    assert torch.equal(model.get_buffer("decoder.mel_statistics"), torch.tensor([-5.123456, 2.345678]))


def test_counters_stay_integers(tmp_path: Path) -> None:
    encoder = LipEncoder(SMALL.lips)
    counter = encoder.front_end.norm.num_batches_tracked
    assert counter is not None
    counter.fill_(100_001)  # beyond what half precision counts
    save_checkpoint(
        tmp_path / "w", SPEC, config=SMALL, statistics=asdict(STATISTICS), facts=FACTS,
        model=FacesToVoices(SMALL, STATISTICS).state_dict(), lips=encoder.state_dict(), vocoder=None,
    )  # fmt: skip
    assert (
        SPEC.checkpoint(tmp_path / "w").lip_encoder().encoder.state_dict()["front_end.norm.num_batches_tracked"]
        == 100_001
    )


def test_a_file_is_half_as_large_as_its_numbers_and_nothing_is_left_beside_it(file: Path) -> None:
    with safe_open(file, "pt") as opened:
        values = sum(opened.get_tensor(name).numel() for name in opened.keys())  # noqa: SIM118  it is no mapping
    assert 2 * values < file.stat().st_size < 2 * values + 50_000
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_the_provenance_names_the_training_data_and_missing_parts(tmp_path: Path) -> None:
    whole = SPEC.checkpoint(save_small(tmp_path / "whole")).provenance
    assert "small: trained by f2v-bench on 6 clips (0.0 h) of demo/train" in whole
    assert "preset small" in whole
    assert "griffin-lim" not in whole
    assert "without" not in whole
    config = replace(SMALL, ablate="timbre")
    part = SPEC.checkpoint(save_small(tmp_path / "part", config, vocoder=False))
    assert "without timbre" in part.provenance
    assert "griffin-lim" in part.provenance
    assert part.vocoder() is None


def test_the_hash_follows_the_content(tmp_path: Path) -> None:
    first, same, other = (
        SPEC.checkpoint(save_small(tmp_path / str(at), seed=seed)) for at, seed in enumerate((0, 0, 1))
    )
    assert first.sha256 == same.sha256 != other.sha256


def _no_file(path: Path) -> None:
    path.unlink()


def _text(path: Path) -> None:
    path.write_text("no weights")


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _another_package_s(path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, path, metadata={"format": "pt"})


def _without_a_head(path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, path)


@pytest.mark.parametrize("spoil", [_no_file, _text, _half, _another_package_s, _without_a_head])
def test_another_file_is_refused(file: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(file)
    with pytest.raises(F2VError, match="no weight file of the reference model") as error:
        SPEC.checkpoint(file)
    assert str(file) in error.value.what
    assert "f2v-bench train" in error.value.do


def rewritten(path: Path, **entries: object) -> Path:
    """Rewrite the file with other entries in its header."""
    with safe_open(path, "pt") as opened:
        tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118  it is no mapping
        ((name, head),) = opened.metadata().items()
    save_file(tensors, path, metadata={name: json.dumps(json.loads(head) | entries)})
    return path


def test_a_file_of_another_format_is_refused_before_its_settings_are_read(file: Path) -> None:
    with pytest.raises(F2VError, match="has format 9, this version reads 1 to 2"):
        SPEC.checkpoint(rewritten(file, format=9, config={"unknown": 1}))


def test_weights_of_another_size_are_refused(file: Path) -> None:
    weights = SPEC.checkpoint(rewritten(file, config={"content": {"width": 24}}))
    with pytest.raises(F2VError, match="does not fit FacesToVoices"):
        weights.model()


def test_sampling_settings_are_checked(file: Path) -> None:
    config = SPEC.checkpoint(file).config
    found = SPEC.sampling(config, {"steps": "7", "guidance": "1"})
    assert found == {"steps": 7, "solver": "euler", "guidance": 1.0, "temperature": 1.0}
    with pytest.raises(F2VError, match="'steps' is"):
        SPEC.sampling(config, {"steps": "many"})
    with pytest.raises(F2VError, match="did you mean 'midpoint'"):
        SPEC.sampling(config, {"solver": "midpiont"})
    with pytest.raises(F2VError, match="at least 1 step, got 0"):
        SPEC.sampling(config, {"steps": "0"})


def test_weights_are_found_by_corpus_name_or_file(weights_dir: Path, file: Path) -> None:
    for name in ("demo", "grid"):
        save_small(weights_dir / f"{name}.safetensors", facts=replace(FACTS, name=name, dataset=name))
    assert SPEC.find_checkpoint(None, "grid").facts.name == "grid"
    assert SPEC.find_checkpoint("demo", "grid").facts.name == "demo"
    assert SPEC.find_checkpoint(str(file), "lrs3").path == file


def test_weights_without_a_part_are_never_chosen_by_corpus(weights_dir: Path) -> None:
    save_small(weights_dir / "demo-no-timbre.safetensors", replace(SMALL, ablate="timbre"))
    with pytest.raises(F2VError):
        SPEC.find_checkpoint(None, "demo")
    save_small(weights_dir / "demo.safetensors")
    assert SPEC.find_checkpoint(None, "demo").config.ablate == "none"


def test_a_corpus_without_weights_is_refused_with_those_available(weights_dir: Path) -> None:
    with pytest.raises(F2VError, match="trained on 'lrs3'") as error:
        SPEC.find_checkpoint(None, "lrs3")
    assert "none are installed" in error.value.do
    save_small(weights_dir / "demo.safetensors")
    with pytest.raises(F2VError, match="trained on 'lrs3'") as error:
        SPEC.find_checkpoint(None, "lrs3")
    assert "train --model faces-to-voices --dataset lrs3" in error.value.do
    assert "6 clips" in error.value.do
    with pytest.raises(F2VError, match="needs weights") as error:
        SPEC.find_checkpoint(None, None)  # weights are chosen by corpus
    assert "demo/train" in error.value.do


def test_an_unknown_name_is_refused_with_a_suggestion(weights_dir: Path) -> None:
    save_small(weights_dir / "demo.safetensors")
    with pytest.raises(F2VError, match="did you mean 'demo'"):
        SPEC.find_checkpoint("dmeo", "demo")


@pytest.fixture
def base(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the packaged shared weights by lip encoder and vocoder of ``file``."""
    path = tmp_path / "common.safetensors"
    monkeypatch.setattr(module, "shared_weights", lambda _: path if path.is_file() else None)
    write_shared(file, path)
    return path


def test_lip_encoder_and_vocoder_may_be_left_to_shared_weights(file: Path, base: Path, tmp_path: Path) -> None:
    strip_shared(file, base, tmp_path / "lean.safetensors")
    whole, lean = SPEC.checkpoint(file), SPEC.checkpoint(tmp_path / "lean.safetensors")
    assert lean.path.stat().st_size + base.stat().st_size < file.stat().st_size + 20_000
    assert (lean.config, lean.statistics, lean.facts) == (whole.config, whole.statistics, whole.facts)
    for one, other in (
        (lean.model(), whole.model()),
        (lean.lip_encoder(), whole.lip_encoder()),
        (lean.vocoder(), whole.vocoder()),
    ):
        assert one is not None
        assert other is not None
        assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())
    assert "griffin-lim" not in lean.provenance


def test_shared_weights_that_are_missing_or_others_are_refused(file: Path, base: Path, tmp_path: Path) -> None:
    strip_shared(file, base, tmp_path / "lean.safetensors")
    other = save_small(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(F2VError, match="another lip encoder or vocoder"):
        strip_shared(other, base, tmp_path / "lean2.safetensors")
    write_shared(other, base)
    with pytest.raises(F2VError, match="is another file"):
        SPEC.checkpoint(tmp_path / "lean.safetensors")
    base.unlink()
    with pytest.raises(F2VError, match="is not installed"):
        SPEC.checkpoint(tmp_path / "lean.safetensors")


@pytest.mark.parametrize(
    ("solver", "steps", "guidance", "wanted"),
    [
        ("euler", 4, 1.0, 4),
        ("euler", 10, 2.0, 20),
        ("heun", 5, 1.0, 10),
        ("midpoint", 3, 1.5, 12),
        ("dopri5", 9, 1.0, None),
    ],
)
def test_the_number_of_function_evaluations_is_counted(
    solver: Any, steps: int, guidance: float, wanted: int | None, tmp_path: Path
) -> None:
    config = replace(SMALL, flow=replace(SMALL.flow, solver=solver, steps=steps, guidance=guidance))
    weights = SPEC.checkpoint(save_small(tmp_path / "w", config))
    assert weights.nfe == wanted
    if wanted is not None:
        flow = weights.model().get_submodule("decoder.flow")
        assert isinstance(flow, FlowMatching)
        mu, features = torch.zeros(1, 8, 80), torch.zeros(1, 8, flow.velocity_net.in_proj.in_features - 160)
        _, counted = flow.sample(
            mu, mu, features, torch.ones(1, 8, dtype=torch.bool), steps=steps, solver=solver, guidance=guidance,
            temperature=1.0,
        )  # fmt: skip
        assert counted == wanted


def as_format_1(path: Path, out: Path) -> Path:
    """Write a weight file with the header, settings and tensor names of format 1."""
    with safe_open(path, "pt") as opened:
        tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118  it is no mapping
        head = json.loads(opened.metadata()["f2v_bench"])
    settings = head["config"]
    content, timbre, lips = settings["content"], settings["timbre"], settings["lips"]
    content["mask"] = {"center": "centre"}.get(content["mask"], content["mask"])
    for now, earlier in {"mask_prob": "hidden", "mask_length": "span", "label_smoothing": "smoothing"}.items():
        content[earlier] = content.pop(now)
    timbre["face"] = lips["encoder"] = "stand-in"
    settings["listening"] = settings.pop("audio_encoder")
    head["facts"]["licence"] = head["facts"].pop("license")
    head |= {"format": 1, "standard": head.pop("statistics")}
    del head["model"]
    renamed = {
        f"model.{earlier_name(name.removeprefix('model.'))}" if name.startswith("model.") else name: tensor
        for name, tensor in tensors.items()
    }
    assert len(renamed) == len(tensors)
    save_file(renamed, out, metadata={"reference_model": json.dumps(head)})
    return out


@pytest.mark.parametrize("ablate", ABLATIONS)
@pytest.mark.parametrize("decoder", ["unet", "dit"])
def test_a_file_of_format_1_gives_the_same_model(ablate: Any, decoder: Any, tmp_path: Path) -> None:
    config = replace(SMALL, ablate=ablate, flow=replace(SMALL.flow, decoder=decoder))
    now = SPEC.checkpoint(save_small(tmp_path / "now.safetensors", config, vocoder=False))
    earlier = SPEC.checkpoint(as_format_1(now.path, tmp_path / "earlier.safetensors"))
    assert (earlier.config, earlier.statistics, earlier.facts) == (now.config, now.statistics, now.facts)
    found, wanted = earlier.model().state_dict(), now.model().state_dict()
    assert found.keys() == wanted.keys() == model_class(config.ablate)(config, STATISTICS).state_dict().keys()
    assert all(torch.equal(tensor, found[name]) for name, tensor in wanted.items())
