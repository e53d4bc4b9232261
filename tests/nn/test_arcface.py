from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.arcface import IResNet50, load_arcface, scale_pixels
from tests.nn.published import published_shapes, shapes_of


@pytest.fixture(scope="module")
def network() -> IResNet50:
    torch.manual_seed(0)
    network = IResNet50().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):  # so that embeddings of faces differ
            torch.nn.init.kaiming_normal_(module.weight)
    return network


def test_names_and_shapes_are_the_published_ones(shared: Path, network: IResNet50) -> None:
    published = published_shapes(shared, "arcface_iresnet50")
    assert len(published) == 475
    assert shapes_of(network) == published
    assert sum(parameter.numel() for parameter in network.parameters()) == 43_590_848


def faces(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, 112, 112, 3), dtype=np.uint8)


def test_images_are_rgb_between_minus_one_and_one() -> None:
    image = np.zeros((1, 112, 112, 3), np.uint8)
    image[..., 0] = 255
    pixels = scale_pixels(torch.from_numpy(image))
    assert pixels.shape == (1, 3, 112, 112)
    assert pixels.amin((0, 2, 3)).tolist() == pixels.amax((0, 2, 3)).tolist() == [1, -1, -1]


@torch.inference_mode()
def test_a_frame_gives_a_unit_vector(network: IResNet50) -> None:
    frame = faces(1)
    vector = network(scale_pixels(torch.from_numpy(frame)))[0]
    found = network.embed(frame)
    assert found.shape == (512,)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (vector / vector.norm()).numpy(), atol=1e-5)


def test_a_clip_gives_the_direction_of_the_mean(network: IResNet50, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f2v_bench.nn.encoders.arcface.BATCH_SIZE", 2)
    monkeypatch.setattr(IResNet50, "forward", lambda _, images: images.flatten(1)[:, :512])
    clip = faces(5)
    clip[3] = clip[3] // 8 + 112  # near 0: a short vector
    vectors = (clip.transpose(0, 3, 1, 2).reshape(5, -1)[:, :512] / 255.0 - 0.5) / 0.5
    mean = vectors.mean(0)
    np.testing.assert_allclose(network.embed(clip), mean / np.linalg.norm(mean), atol=1e-5)
    of_units = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
    assert np.abs(of_units / np.linalg.norm(of_units) - mean / np.linalg.norm(mean)).max() > 1e-3


def test_the_published_file_is_read(tmp_path: Path, network: IResNet50) -> None:
    torch.save(network.state_dict(), tmp_path / "backbone.pth")
    loaded = load_arcface(tmp_path / "backbone.pth", "")
    assert not loaded.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(F2VError, match=r"other\.pth' does not fit IResNet50: Missing"):
        load_arcface(tmp_path / "other.pth", "")
