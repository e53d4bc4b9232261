"""DiffV2S: Choi et al., "DiffV2S: diffusion-based video-to-speech with vision-guided speaker embedding" (ICCV 2023)."""
