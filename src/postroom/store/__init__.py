"""What is durable: the port, its records and errors, and the engines behind it."""
