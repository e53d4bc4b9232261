"""Official repositories, run in the user's own environments with the user's own copies of code and weights."""
