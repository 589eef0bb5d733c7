"""Breaking postroom on virtual time, and judging what is left."""
