"""What breaks postroom on purpose and counts what was lost by it: one module, or folder, a row."""
