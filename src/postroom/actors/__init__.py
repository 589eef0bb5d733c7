"""Who acts: actors, their turns, their supervision, and the system that runs them."""
