"""The PostgreSQL engine: the same rules, on a server that several machines share."""
