"""Presets and settings: all build, survive YAML, and read the names of earlier versions."""

from __future__ import annotations

import pytest
import torch
import yaml

from f2v_bench.config import as_mapping, from_mapping, with_overrides
from f2v_bench.errors import F2VError
from f2v_bench.nn.vocoders.build import build_vocoder
from reference_model.config import PRESETS, FacesToVoicesConfig, preset
from reference_model.mel_decoder import DataStatistics
from reference_model.model import FacesToVoices
from tests.reference_model.small import ABLATIONS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_builds_and_survives_yaml(name: str) -> None:
    config = preset(name)
    assert config.preset == name
    with torch.device("meta"):
        FacesToVoices(config, DataStatistics())
    build_vocoder(config.vocoder)
    assert from_mapping(FacesToVoicesConfig, yaml.safe_load(yaml.safe_dump(as_mapping(config)))) == config


@pytest.mark.parametrize("ablate", ABLATIONS)
def test_an_ablation_is_the_preset_without_a_part(ablate: str) -> None:
    config = preset("tiny", ablate)
    assert config.ablate == ablate
    assert as_mapping(config) | {"ablate": "none"} == as_mapping(preset("tiny"))


def test_unknown_presets_and_parts_are_refused_with_a_suggestion() -> None:
    with pytest.raises(F2VError, match="did you mean 'tiny'"):
        preset("tinny")
    with pytest.raises(F2VError, match="did you mean 'timbre'"):
        preset("tiny", "timber")


def test_paper_takes_official_weights_throughout_and_the_others_none() -> None:
    paper = preset("paper")
    assert (paper.lips.encoder, paper.units.source, paper.timbre.face) == ("avhubert-large", "hubert", "arcface")
    for name in ("base", "tiny"):
        config = preset(name)
        assert (config.lips.encoder, config.units.source, config.timbre.face) == ("small", "mfcc", "small")


def test_one_setting_switches_between_small_and_official_encoders() -> None:
    config = with_overrides(preset("tiny"), ["lips.encoder=avhubert-base", "timbre.face=arcface"])
    with torch.device("meta"):
        model = FacesToVoices(config, DataStatistics())
    assert model.content.lips.layer_weights.shape == (13,)
    assert model.content.lips.project.in_features == 768
    assert model.timbre is not None
    assert model.timbre.face is None


def test_names_and_values_of_earlier_settings_are_read() -> None:
    earlier = {
        "content": {"mask": "centre", "span": 7, "hidden": 0.2, "smoothing": 0.0},
        "timbre": {"face": "stand-in"},
        "lips": {"encoder": "stand-in"},
        "listening": {"blocks": 3},
        "teaching": {"phones": 0.5},
    }
    config = from_mapping(FacesToVoicesConfig, earlier)
    assert (config.content.mask, config.content.mask_length, config.content.mask_prob) == ("center", 7, 0.2)
    assert config.content.label_smoothing == 0
    assert (config.timbre.face, config.lips.encoder) == ("small", "small")
    assert config.audio_encoder.blocks == 3
    assert config.lip_encoder_training.phoneme_weight == 0.5
    texts = [
        f"content.mask={'centre'}",
        "content.hidden=0.2",
        "content.span=7",
        "content.smoothing=0",
        "listening.blocks=3",
    ]
    assert with_overrides(FacesToVoicesConfig(), texts).audio_encoder == config.audio_encoder
    assert with_overrides(FacesToVoicesConfig(), texts).content == config.content
    with pytest.raises(F2VError, match="earlier name"):
        from_mapping(FacesToVoicesConfig, {"listening": {}, "audio_encoder": {}})
