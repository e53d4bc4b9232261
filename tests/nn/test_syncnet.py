from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.syncnet import SyncNet, load_syncnet
from tests.nn.published import filled, published_shapes, shapes_of


@pytest.fixture(scope="module")
def network() -> SyncNet:
    return filled(SyncNet())


def test_names_and_shapes_are_the_published_ones(shared: Path, network: SyncNet) -> None:
    published = published_shapes(shared, "syncnet_v2")
    assert len(published) == 102
    assert shapes_of(network) == published


@torch.inference_mode()
def test_windows_of_a_sequence_equal_windows_alone(network: SyncNet) -> None:
    """The published script pushes each window of five frames, and of 20 steps, through the towers by itself."""
    faces = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (7, 224, 224, 3), dtype=np.uint8))
    alone = torch.cat([network.embed_lips(faces[i : i + 5]) for i in range(3)])
    torch.testing.assert_close(network.embed_lips(faces), alone, atol=1e-5, rtol=1e-5)
    cepstra = torch.randn(47, 13, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([network.embed_audio(cepstra[4 * i : 4 * i + 20]) for i in range(7)])
    found = network.embed_audio(cepstra)
    assert found.shape == (7, 1024)
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def test_the_published_file_is_read(tmp_path: Path, network: SyncNet) -> None:
    """A bare state dict, in the format that torch wrote before 1.6."""
    torch.save(network.state_dict(), tmp_path / "a.model", _use_new_zipfile_serialization=False)
    loaded = load_syncnet(tmp_path / "a.model", "")
    assert not loaded.training
    torch.testing.assert_close(loaded.netfclip[3].weight, network.netfclip[3].weight)
    torch.save({"netfclip.0.weight": torch.zeros(1)}, tmp_path / "b.model")
    with pytest.raises(F2VError, match="does not fit SyncNet"):
        load_syncnet(tmp_path / "b.model", "")
