"""Settings of earlier versions, which are still read under their earlier names."""

from __future__ import annotations

from typing import Any

import pytest

from f2v_bench.config import from_mapping
from f2v_bench.registry import MODELS

FRONT = {"front": {"kind": "resnet"}}
TEACHING = {"teaching": {"hidden": 0.1, "span": 3, "hidden_weight": 0.2, "phones": 0.0, "smoothing": 0.3}}


@pytest.mark.parametrize(
    ("model", "earlier", "present"),
    [
        ("svts", FRONT | {"form": "pwg"}, {"frontend": {"kind": "resnet"}, "form": "24khz-pwg"}),
        ("svts", {"form": "suite"}, {"form": "16khz"}),
        (
            "intelligible",
            FRONT | {"smoothing": 0.2, "voice": {"start": "nothing"}},
            {"frontend": {"kind": "resnet"}, "label_smoothing": 0.2, "voice": {"start": "scratch"}},
        ),
        ("intelligible", {"voice": {"start": "vocoder"}}, {"voice": {"start": "shared-vocoder"}}),
        (
            "diffv2s",
            {"diffusion": {"times": 9}, "voice": {"faces": [1], "pictures": 2, "heard": 0.5}},
            {"diffusion": {"num_timesteps": 9}, "voice": {"face_channels": [1], "face_frames": 2, "audio_prob": 0.5}},
        ),
        (
            "v2a-mel",
            {"watching": {"blocks": 0}, "listening": {"blocks": 3}, "norms": "shared", "transfer": {"how": "joint"}},
            {
                "video_encoder": {"blocks": 0},
                "audio_encoder": {"blocks": 3},
                "domain_norm": "shared",
                "transfer": {"mode": "joint"},
            },
        ),
        ("v2a-wave", {"rate": 24_000}, {"sample_rate": 24_000}),
        ("v2a-wave", {"transfer": {"rate": 0.5}}, {"transfer": {"lr_scale": 0.5}}),
        ("v2a-mel", {"bottleneck": {"hidden": 0.2, "span": 4}}, {"bottleneck": {"mask_prob": 0.2, "mask_length": 4}}),
        (
            "svts",
            TEACHING,
            {
                "lip_encoder_training": {
                    "mask_prob": 0.1, "mask_length": 3, "masked_weight": 0.2, "phoneme_weight": 0.0,
                    "label_smoothing": 0.3,
                }
            },
        ),
    ],
)  # fmt: skip
def test_earlier_settings_are_read(model: str, earlier: dict[str, Any], present: dict[str, Any]) -> None:
    kind = MODELS.load(model).config_class
    assert from_mapping(kind, earlier) == from_mapping(kind, present)
