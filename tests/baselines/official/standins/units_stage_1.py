"""Stands in for multi_target_lip2speech/inference.py of lip2speech-unit."""

import os
import sys
from pathlib import Path

import numpy as np
from common import accident, gray, note, overrides

repository = Path(__file__).resolve().parents[1]
assert [sys.argv[at] for at in (1, 3, 4)] == ["--config-dir", "--config-name", "decode"]
assert Path(sys.argv[2], "decode.yaml").is_file()
assert os.environ["PYTHONPATH"] == str(repository / "fairseq")
options = overrides(sys.argv[5:])
for key in ("common_eval.path", "override.w2v_path"):
    if key in options and not Path(options[key]).is_file():
        raise FileNotFoundError(options[key])
assert options["common.user_dir"] == str(repository / "multi_target_lip2speech")
assert options["dataset.batch_size"] == "1"
label = Path(options["override.data"])
assert options["override.label_dir"] == str(label)
assert len((label / "dict.unt.txt").read_text().splitlines()) == 200
root, *lines = (label / "test.tsv").read_text().splitlines()
units = (label / "test.unt").read_text().splitlines()
assert len(lines) == len(units)
kept = [line.split("\t") for line in lines if int(line.split("\t")[-2]) <= 600]
note(stage=1, listed=len(lines), kept=len(kept), encoder="override.w2v_path" in options)
longest = max(int(items[-2]) for items in kept)  # as there, an empty list is an error
results = Path(options["common_eval.results_path"])
for number, (name, video, _, frames, samples) in enumerate(kept):
    if accident("units", number):
        continue
    path = os.path.join(root, video)
    levels = gray(path, size=(96, 96))
    mel = np.load(path.replace("/video/", "/mel/")[:-4] + ".npy")
    voice = np.load(path.replace("/video/", "/spk_emb/")[:-4] + ".npy")
    assert mel.dtype == voice.dtype == np.float32
    assert mel.shape[1] == 80
    assert voice.shape == (256,)
    assert len(levels) == int(frames)
    assert int(samples) == 640 * len(levels)
    assert abs(np.linalg.norm(voice) - 1) < 1e-4
    for folder, suffix in (("pred_mel", "npy"), ("pred_unit", "txt")):
        (results / folder / f"{name}.{suffix}").parent.mkdir(parents=True, exist_ok=True)
    np.save(results / "pred_mel" / f"{name}.npy", np.repeat(levels, 4)[:, None].repeat(80, 1).astype("f4"))
    (results / "pred_unit" / f"{name}.txt").write_text(" ".join(["7"] * (2 * len(levels))))
