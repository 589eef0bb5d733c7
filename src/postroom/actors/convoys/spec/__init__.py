"""What people write: a convoy file, read and checked as a whole before anything is done."""
