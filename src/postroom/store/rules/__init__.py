"""What is true of messages whatever stores them: the rules, spoken in named statements."""
