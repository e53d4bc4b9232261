"""A script for other environments: runs a Python script that draws without a seed, with every generator seeded first.

``python seeded.py SEED SCRIPT ARGUMENT...``; needs Python 3.8 and nothing of the suite.
"""

from __future__ import annotations

import random
import runpy
import sys
from pathlib import Path


def main(seed: int, script: str) -> None:
    """Seed what the script draws from, and run it as the main program."""
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(script).parent)
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the global generator is the one that such scripts use
    torch.manual_seed(seed)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
