"""Stands in for multi_input_vocoder/inference.py of lip2speech-unit."""

import argparse
import glob
import os
import sys
from pathlib import Path

import numpy as np
from common import accident, note, write_speech

parser = argparse.ArgumentParser()
parser.add_argument("--code_file")
parser.add_argument("--output_dir")
parser.add_argument("--checkpoint_file")
parser.add_argument("--debug", action="store_true")
parser.add_argument("-n", type=int, default=10)
args = parser.parse_args()
assert (Path(args.checkpoint_file).parent / "config.json").is_file()
if not Path(args.checkpoint_file).is_file():
    print("Didn't find checkpoints")
    sys.exit(0)
codes = sorted(glob.glob(f"{args.code_file}/*/*/*.txt"))
items = []
for path in codes:
    mel = np.load(path.replace("/pred_unit/", "/pred_mel/")[:-4] + ".npy")
    voice = np.load(path.replace(f"{args.code_file}/", "../datasets/lrs3/spk_emb/")[:-4] + ".npy")
    codes = [int(value) for value in Path(path).read_text().strip().split(" ")]
    items.append((path, mel, voice))
note(stage=2, files=len(items), voices=[int(voice.argmax()) for _, _, voice in items])
for number, (path, mel, _) in enumerate(items):
    if not accident("speech", number):
        out = os.path.join(args.output_dir, "pred_wav", *path.split("/")[-3:])[:-4] + ".wav"
        write_speech(out, mel[::4, 0], number)
    if args.n != -1 and number > args.n:
        break
