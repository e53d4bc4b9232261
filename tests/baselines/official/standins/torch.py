"""Stands in for PyTorch where only its seed matters."""

seeded = None


def manual_seed(seed):
    """Keep the seed."""
    global seeded
    seeded = seed
