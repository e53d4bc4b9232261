"""Catalog of the public weight files that the suite can use."""

from __future__ import annotations

from typing import Final

from f2v_bench.assets.base import Asset

_DNSMOS_LICENSE = "MIT (Microsoft DNS-Challenge, through speechmos)"
_WHISPER = "https://openaipublic.azureedge.net/main/whisper/models"
_ECAPA = "https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb/resolve/eac27266f68caa806381260bd44ace38b136c76a"
_ECAPA_SHA256 = "0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2"
_AVHUBERT = "https://dl.fbaipublicfiles.com/avhubert/model/lrs3_vox/noise-pretrain"
_PARALLEL_WAVEGAN = "libritts_parallel_wavegan.v1.long"
_HUGGING_FACE = "~/.cache/huggingface/hub"  # names its blobs by their hash, whatever the revision


def _dnsmos(name: str, path: str, sha256: str) -> Asset:
    return Asset(
        name=name,
        filename=f"{name}.onnx",
        sha256=sha256,
        license=_DNSMOS_LICENSE,
        enables="dnsmos",
        instructions="uv pip install speechmos",
        package=("speechmos", path),
    )


def _whisper(size: str, sha256: str) -> Asset:
    return Asset(
        name=f"whisper-{size}",
        filename=f"{size}.pt",
        sha256=sha256,
        license="MIT (OpenAI)",
        enables=f"wer and cer by Whisper {size}",
        url=f"{_WHISPER}/{sha256}/{size}.pt",
        other_homes=(f"~/.cache/whisper/{size}.pt",),
    )


def _avhubert(size: str) -> Asset:
    return Asset(
        name=f"avhubert-{size}",
        filename=f"avhubert_{size}_vox_iter5.pt",
        sha256=None,
        license="AV-HuBERT license (Meta): non-commercial research only, no biometric processing",
        enables=f"lip features by AV-HuBERT {size.capitalize()}, pre-trained on LRS3 and VoxCeleb2 with noise",
        instructions=f"accept the license at https://facebookresearch.github.io/av_hubert, then fetch "
        f"{_AVHUBERT}/{size}_vox_iter5.pt",
    )


ASSETS: Final[dict[str, Asset]] = {
    asset.name: asset
    for asset in (
        _dnsmos(
            "dnsmos-p835",
            "dnsmos_models/sig_bak_ovr.onnx",
            "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
        ),
        _dnsmos(
            "dnsmos-p835-personalised",
            "pdnsmos_models/sig_bak_ovr.onnx",
            "9e3a197449ca2177f0997afec3bd6b890117ce2f17b89d6eea7fa0d47272c81c",
        ),
        _dnsmos(
            "dnsmos-p808",
            "dnsmos_models/model_v8.onnx",
            "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
        ),
        _whisper("tiny.en", "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"),
        _whisper("base.en", "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead"),
        _whisper("small.en", "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872"),
        _whisper("medium.en", "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f"),
        _whisper("large-v2", "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524"),
        _whisper("large-v3", "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb"),
        Asset(
            name="face-landmarker",
            filename="face_landmarker.task",
            sha256=None,
            license="Apache-2.0 (Google MediaPipe)",
            enables="landmarks by MediaPipe instead of the cascade's boxes (needs the extra 'mediapipe')",
            url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        ),
        Asset(
            name="utmos22-strong",
            filename="utmos22_strong_step7459_v1.pt",
            sha256=None,
            license="MIT (Saruwatari & Koyama laboratory, through tarepan/SpeechMOS)",
            enables="utmos",
            url="https://github.com/tarepan/SpeechMOS/releases/download/v1.0.0/utmos22_strong_step7459_v1.pt",
            other_homes=("~/.cache/torch/hub/checkpoints/utmos22_strong_step7459_v1.pt",),
        ),
        Asset(
            name="ge2e",
            filename="ge2e.pt",
            sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
            license="Apache-2.0 (github.com/resemble-ai/Resemblyzer)",
            enables="secs",
            url="https://github.com/resemble-ai/Resemblyzer/raw/master/resemblyzer/pretrained.pt",
            package=("resemblyzer", "pretrained.pt"),
        ),
        Asset(
            name="wavlm-sv",
            filename="wavlm_large_finetune.pth",
            sha256=None,
            license="CC BY-SA 3.0 (Microsoft UniSpeech)",
            enables="secs with encoder=wavlm-sv, as in seed-tts-eval",
            instructions="follow the link of seed-tts-eval's README to wavlm_large_finetune.pth (1.3 GB)",
        ),
        Asset(
            name="ecapa-voxceleb",
            filename="ecapa_voxceleb.ckpt",
            sha256=_ECAPA_SHA256,
            license="Apache-2.0 (SpeechBrain)",
            enables="secs with encoder=ecapa",
            url=f"{_ECAPA}/embedding_model.ckpt",
            other_homes=(f"{_HUGGING_FACE}/models--speechbrain--spkrec-ecapa-voxceleb/blobs/{_ECAPA_SHA256}",),
        ),
        Asset(
            name="syncnet-v2",
            filename="syncnet_v2.model",
            sha256=None,
            license="MIT (joonson/syncnet_python, Visual Geometry Group Oxford)",
            enables="lse",
            url="https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
        ),
        _avhubert("base"),
        _avhubert("large"),
        Asset(
            name="arcface-iresnet50",
            filename="arcface_iresnet50.pth",
            sha256=None,
            license="non-commercial research only (insightface's pre-trained models)",
            enables="face identity by ArcFace",
            instructions="follow the model zoo of arcface_torch in github.com/deepinsight/insightface to backbone.pth "
            "of glint360k_cosface_r50_fp16_0.1 or ms1mv3_arcface_r50_fp16",
        ),
        Asset(
            name="hubert-base",
            filename="hubert_base_ls960.pt",
            sha256="1703cf8d2cdc76f8c046f5f6a9bcd224e0e6caf4744cad1a1f4199c32cac8c8d",
            license="MIT (Meta, fairseq)",
            enables="speech units by HuBERT Base",
            url="https://dl.fbaipublicfiles.com/hubert/hubert_base_ls960.pt",
            other_homes=("~/.textless/hubert_base_ls960.pt",),
        ),
        Asset(
            name="hubert-base-km200",
            filename="hubert_base_ls960_km200.bin",
            sha256="b3c46c9cdd1707ad852dd53c359aa73942e79d53c432a9a8a419ed046408024b",
            license="MIT (Meta, fairseq's textless NLP)",
            enables="the 200 speech units of HuBERT Base's sixth layer",
            url="https://dl.fbaipublicfiles.com/textless_nlp/gslm/hubert/km200/km.bin",
            other_homes=("~/.textless/hubert_base_ls960_km200.pt",),
        ),
        Asset(
            name="parallel-wavegan-libritts",
            filename=f"{_PARALLEL_WAVEGAN}.tar.gz",
            sha256=None,
            license="MIT (github.com/kan-bayashi/ParallelWaveGAN); trained on LibriTTS (CC BY 4.0)",
            enables="svts in its published form, at 24 kHz (needs the extra 'pwg')",
            instructions=f"fetch https://drive.google.com/uc?id=1b9zyBYGCCaJu0TIus5GXoMF8M3YEbqOw, the archive that "
            f"github.com/kan-bayashi/ParallelWaveGAN lists as {_PARALLEL_WAVEGAN}",
            other_homes=(f"~/.cache/parallel_wavegan/{_PARALLEL_WAVEGAN}.tar.gz",),
        ),
    )
}
