"""Intelligible: Choi, Kim and Ro, "Intelligible lip-to-speech synthesis with speech units" (Interspeech 2023)."""
