from __future__ import annotations

import pytest
import torch

from f2v_bench.nn.encoders.face_encoder import FACE_DIM, FaceEncoder, downsample2


@pytest.mark.parametrize("channels", [(4,), (4, 4), (4, 4, 4, 4), (4, 4, 4, 4, 4)])
def test_the_encoder_takes_any_number_of_layers(channels: tuple[int, ...]) -> None:
    assert FaceEncoder(channels)(torch.zeros(1, 3, 56, 56)).shape == (1, FACE_DIM)


def test_a_face_at_half_its_size() -> None:
    faces = torch.randint(256, (2, 3, 112, 112, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    small = downsample2(faces)
    assert small.shape == (6, 3, 56, 56)
    corner = faces[1, 2, :2, 2:4, 1].float().mean() / 127.5 - 1
    torch.testing.assert_close(small[5, 1, 0, 1], corner)
    torch.testing.assert_close(downsample2(faces[1]), small[3:])
    assert small.abs().max() <= 1
