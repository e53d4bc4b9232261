"""Synthetic checkouts of the official repositories, with stand-ins for their scripts and for Python."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

STANDINS = Path(__file__).parent / "standins"


def touch(folder: Path, names: Iterable[str]) -> None:
    """Create files whose content does not matter: each holds its name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def place(folder: Path, scripts: dict[str, str]) -> None:
    """Copy stand-ins, each with their shared helpers beside it."""
    for name, standin in scripts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(STANDINS / standin, path)
        shutil.copy(STANDINS / "common.py", path.parent / "common.py")


def environment(folder: Path, version: tuple[int, int] = (3, 10), without: Sequence[str] = ()) -> str:
    """Create a Python of a version that lacks modules and programs; return it for ``--set LABEL.python=``."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "python"
    program.write_text(f"#!{sys.executable}\n" + (STANDINS / "python.py").read_text())
    program.chmod(0o755)
    (folder / "environment.json").write_text(json.dumps({"version": version, "without": list(without)}))
    return str(program)


def speech_units(folder: Path) -> Path:
    """Create a checkout of lip2speech-unit with weights."""
    touch(folder, ["avhubert/hubert_dataset.py", "espnet/nets/encoder.py", "speech-resynthesis/utils.py"])
    touch(
        folder, ["multi_target_lip2speech/conf/decode.yaml", "fairseq/fairseq/__init__.py", "checkpoints/config.json"]
    )
    weights = ("lip2speech_lrs3_avhubert_multi.pt", "vocoder_lrs3_aug_multi.pt", "large_vox_iter5.pt")
    touch(folder, [f"checkpoints/{name}" for name in weights])
    touch(folder, ["datasets/lrs3/label/dict.unt.txt"])
    (folder / "datasets/lrs3/label/dict.unt.txt").write_text("".join(f"{unit} 1\n" for unit in range(200)))
    first, second = "multi_target_lip2speech/inference.py", "multi_input_vocoder/inference.py"
    place(folder, {first: "units_stage_1.py", second: "units_stage_2.py"})
    return folder


def lipvoicer(folder: Path) -> Path:
    """Create a checkout of LipVoicer with weights."""
    lips = "mouthroi_processing/benchmarks/LRS3"
    touch(folder, ["configs/config.yaml", "hifi_gan/config.json", "ASR/asr_models.py", "hifi_gan/g_02400000"])
    touch(folder, ["mouthroi_processing/crop_and_infer.py", "ASR/media/6gram_lrs23.arpa"])
    touch(folder, [f"ASR/media/tokenizerbpe{size}.model" for size in (256, 1024)])
    touch(folder, ["ASR/callbacks/LRS23/AO/EffConfCTC/checkpoints_ft_lrs3.ckpt"])
    touch(folder, ["ASR/callbacks/LRS23/LM/GPT-Small/checkpoints_epoch_10_step_2860.ckpt"])
    touch(folder, [f"{lips}/models/LRS3_V_WER19.1/model.{suffix}" for suffix in ("pth", "json")])
    touch(folder, [f"{lips}/language_models/lm_en_subword/model.{suffix}" for suffix in ("pth", "json")])
    touch(folder, ["exp/LRS3/wnet_h512_d12_T400_betaT0.02/checkpoint/1000000.pkl"])
    place(folder, {"inference_real_video.py": "lipvoicer.py", "torch.py": "torch.py"})
    return folder


def aligndit(folder: Path, pairs: Sequence[str] = ("other-talk_00001_00002",)) -> Path:
    """Create a checkout of AlignDiT with weights, and AV-HuBERT and fairseq beside it."""
    touch(folder.parent, ["av_hubert/avhubert/hubert.py", "fairseq/fairseq/__init__.py"])
    touch(folder, ["src/f5_tts/model/utils.py", "src/aligndit/config/finetune.yaml", "data/LRS3_char/vocab.txt"])
    touch(folder, ["ckpts/AlignDiT_finetune_hifigan_16k_LRS3_char/model_400000.pt"])
    touch(folder, ["ckpts/av_hubert/lrs3_vox/clean-pretrain/large_vox_iter5.pt"])
    touch(folder, [f"ckpts/hifigan_16k_LRS3/{name}" for name in ("config.json", "g_01000000")])
    (folder / "data/lrs3_test_cross_sentence.lst").write_text("".join(f"{pair}\n" for pair in pairs))
    scripts = "src/aligndit/script"
    features = f"{scripts}/misc/extract_avhubert_from_only_video.py"
    place(folder, {f"{scripts}/misc/extract_mel.py": "aligndit_mel.py", features: "aligndit_features.py"})
    place(folder, {f"{scripts}/eval/infer.py": "aligndit_infer.py"})
    return folder
