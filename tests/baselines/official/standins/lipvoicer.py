"""Stands in for inference_real_video.py of LipVoicer."""

import os
import random
import re
import sys
from pathlib import Path

import numpy as np
import torch
from common import accident, gray, note, overrides, write_speech

options = overrides(sys.argv[1:])
assert Path("hifi_gan/g_02400000").is_file(), "not in the repository's folder"
assert Path(options["generate.ckpt_path"]).is_file()
path = options["generate.video_path"]
if not re.fullmatch(r"[\w./-]+", path):
    sys.exit(f"sh: syntax error in {path}")
levels = gray(path)
name = path.split("/")[-1].replace(".mp4", "")
weights = [options[f"generate.{key}"] for key in ("w_video", "w_asr", "asr_start")]
drawn = [random.random(), float(np.random.random()), torch.seeded]
note(drawn=drawn, frames=len(levels), weights=weights, cuda=os.environ.get("CUDA_VISIBLE_DEVICES"))
out = Path(options["generate.save_dir"], name, "w1={}_w2={}_asr_start={}".format(*weights))
out.mkdir(parents=True)
(out / "lipreading_prediction.txt").write_text("bin blue")
if not accident("speech", 0):
    write_speech(out / f"{name}.wav", np.full(len(levels), 0.1 + 0.8 * drawn[0]))
