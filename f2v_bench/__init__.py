"""f2v-bench: a benchmark for video-to-speech synthesis."""
