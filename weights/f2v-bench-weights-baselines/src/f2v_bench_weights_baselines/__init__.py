"""Data package: weights of the baselines, and of the models trained on GRID."""
