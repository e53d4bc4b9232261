"""Data package: weights that ``f2v-bench run`` needs."""
