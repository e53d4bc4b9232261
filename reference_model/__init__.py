"""Reference model of f2v-bench: hierarchical video-to-speech synthesis."""
