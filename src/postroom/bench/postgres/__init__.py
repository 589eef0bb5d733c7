"""What the figures on a PostgreSQL server need beside those on a file. All of it needs psycopg."""
