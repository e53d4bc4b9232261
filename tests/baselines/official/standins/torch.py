"""Stands in for PyTorch where only its seed matters."""

seeded = None


def manual_seed(seed):
    """Remember the seed."""
    global seeded
    seeded = seed
