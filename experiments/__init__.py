"""Scripts that train and study the shipped models; run them as ``python -m experiments.NAME``."""
