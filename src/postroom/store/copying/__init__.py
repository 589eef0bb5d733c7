"""Moving a stopped store: from one file to another, to a server and back, with all that is in it."""
