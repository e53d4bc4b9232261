"""Baselines of f2v-bench (SVTS, Intelligible, DiffV2S, audio pre-training)."""
