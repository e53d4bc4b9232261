"""Presets: all of them build, travel through YAML, and unknown ones are refused."""

from __future__ import annotations

import pytest
import torch
import yaml

from f2v_bench.config import as_mapping, from_mapping, with_overrides
from f2v_bench.errors import F2VError
from f2v_bench.nn.vocoders.build import build_vocoder
from reference_model.config import FacesToVoicesConfig
from reference_model.mel_decoder import DataStatistics
from reference_model.model import FacesToVoices
from reference_model.presets import PRESETS, preset
from tests.reference_model.small import ABLATIONS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_builds_and_travels_through_yaml(name: str) -> None:
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
        assert (config.lips.encoder, config.units.source, config.timbre.face) == ("stand-in", "mfcc", "stand-in")


def test_one_switch_moves_between_stand_in_and_official_weights() -> None:
    config = with_overrides(preset("tiny"), ["lips.encoder=avhubert-base", "timbre.face=arcface"])
    with torch.device("meta"):
        model = FacesToVoices(config, DataStatistics())
    assert model.content is not None
    assert model.content.lips.share.shape == (13,)
    assert model.content.lips.project.in_features == 768
    assert model.timbre is not None
    assert model.timbre.face is None
