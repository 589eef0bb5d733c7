"""Damage to a store's files: seeing it, mending what one byte explains, saving what is left."""
