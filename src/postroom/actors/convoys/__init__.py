"""Convoys: tasks in a TOML file, played by actors."""
