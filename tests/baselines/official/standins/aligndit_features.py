"""Stands in for extract_avhubert_from_only_video.py of AlignDiT."""

import argparse
import glob
import os
from pathlib import Path

import numpy as np
from common import accident, gray, note

parser = argparse.ArgumentParser()
for name in ("nshard", "rank", "input-dir", "output-dir", "ckpt-path", "user_dir"):
    parser.add_argument(f"--{name}", required=True)
args = parser.parse_args()
source, fairseq = os.environ["PYTHONPATH"].split(os.pathsep)
assert Path(source).resolve() == Path(__file__).resolve().parents[3]
assert Path(fairseq, "fairseq").is_dir()
assert Path(args.user_dir, "hubert.py").is_file()
assert Path(args.ckpt_path).is_file()
assert (args.nshard, args.rank) == ("1", "0")
paths = sorted(glob.glob(f"{args.input_dir}/**/*.mp4", recursive=True))
note(stage="features", videos=len(paths))
for number, path in enumerate(paths):
    if accident("features", number):
        continue
    levels = gray(path, size=(96, 96))
    save = os.path.splitext(path.replace(args.input_dir, args.output_dir))[0] + ".npy"
    os.makedirs(os.path.dirname(save), exist_ok=True)
    np.save(save, np.repeat(levels[:, None], 1024, 1).astype("f4"))
