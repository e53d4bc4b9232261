"""Runner for other environments: seeds every generator, then runs a script that has no seed of its own.

``python run_seeded.py SEED SCRIPT ARGUMENT...``; requires Python 3.8 and nothing of the suite.
"""

from __future__ import annotations

import random
import runpy
import sys
from pathlib import Path


def main(seed: int, script: str) -> None:
    """Seed all generators and run the script as the main program."""
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(script).parent)
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # such scripts use the global generator
    torch.manual_seed(seed)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
