"""Stands in for infer.py of AlignDiT: every path is fixed."""

import argparse
import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile
from common import accident, note, write_speech

parser = argparse.ArgumentParser()
parser.add_argument("-s", type=int)
parser.add_argument("-n")
parser.add_argument("-c", type=int)
parser.add_argument("-nfe", type=int)
parser.add_argument("-t")
parser.add_argument("--cfg_t", default=5.0, type=float)
parser.add_argument("--cfg_v", default=2.0, type=float)
parser.add_argument("--ignore-modality")
args = parser.parse_args()
root = str(files("aligndit").joinpath("../../"))
assert Path("ckpts/hifigan_16k_LRS3/g_01000000").is_file()
assert Path(f"{root}/ckpts/{args.n}/model_{args.c}.pt").is_file()
assert os.path.isfile(os.path.join(files("f5_tts").joinpath("../../data"), "LRS3_char/vocab.txt"))
tree = f"{root}/data/LRS3_debug/autoavsr"
with_texts = args.t == "lrs3_test_cross_w_lipreader"
items = []
for line in open(f"{root}/data/lrs3_test_cross_sentence.lst").readlines():
    talk, reference, target = line.strip().split("_")
    texts = []
    for name, folder in ((reference, "text_autoavsr_asr"), (target, "text_autoavsr_vsr")):
        texts.append(
            open(f"{tree}/{folder if with_texts else 'text'}/test/{talk}/{name}.txt").readline().strip().lower()
        )
    assert all(texts)
    sound, rate = soundfile.read(f"{tree}/audio/test/{talk}/{reference}.wav", dtype="float32")
    length, _ = soundfile.read(f"{tree}/audio/test/{talk}/{target}.wav", dtype="float32")
    features = [np.load(f"{tree}/avhubert_video_feat/test/{talk}/{name}.npy") for name in (reference, target)]
    assert rate == 16000
    assert len(sound) > 5000
    assert not length.any()
    assert features[0].shape[1] == features[1].shape[1] == 1024
    mel = f"{tree}/audio/test/{talk}/{reference}.wav".replace("/audio/", "/mel_tacotron/")[:-4] + ".npy"
    assert os.path.exists(mel), "mat1 and mat2 shapes cannot be multiplied"
    assert np.load(mel).T.shape[0] == 80
    mels = 4 * sum(map(len, features))
    assert 100 <= mels <= 4000, f"Audio {target} has duration {mels // 100}s out of range [1, 40]."
    items.append((f"test/{talk}/{target}", features[1][:, 0]))
    voice = round(float(np.abs(np.fft.rfft(sound[:3200])).argmax()) * 5)
    note(
        voice=voice,
        reference=len(features[0]),
        samples=len(sound),
        frames=len(features[1]),
        texts=texts,
        args=vars(args),
    )
out = f"{root}/results/{args.n}_{args.c}/{args.t}/seed{args.s}_euler"
for number, (name, levels) in enumerate(items):
    if not accident("speech", number):
        write_speech(f"{out}/{name}.wav", levels, number)
