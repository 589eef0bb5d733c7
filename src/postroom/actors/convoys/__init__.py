"""Convoys: tasks declared in a file, played by a manager and a worker on durable mail."""
