"""SVTS: Schoburg Carrillo de Mira et al., "SVTS: scalable video-to-speech synthesis" (Interspeech 2022)."""
