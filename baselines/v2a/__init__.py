"""Kefalas et al., "Large-scale unsupervised audio pre-training for video-to-speech synthesis" (TASLP 2024)."""
