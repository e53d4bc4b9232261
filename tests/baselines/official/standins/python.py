"""Stands in for the Python of an environment: reports its version and modules, and runs scripts."""

import json
import os
import runpy
import sys
from pathlib import Path

config = json.loads((Path(__file__).parent / "environment.json").read_text())
words = sys.argv[1:]
if words[0] == "-c":
    modules, programs = json.loads(words[2])
    missing = [name for name in [*modules, *programs] if name in config["without"]]
    print(json.dumps({"version": config["version"], "missing": missing}))
    sys.exit()
if words[0] == "-B":
    words = words[1:]
if words[0] == "-m":
    if words[:6] != ["-m", "accelerate.commands.launch", "--mixed_precision", "bf16", "--num_processes", "1"]:
        sys.exit(f"unexpected command {words[:6]}?")
    words = words[6:]
if not os.environ["PATH"].startswith(str(Path(__file__).parent)):
    sys.exit("programs of the environment are not found first")
sys.argv = words
sys.path[0] = str(Path(words[0]).parent)
runpy.run_path(words[0], run_name="__main__")
