"""Reviews of what tasks have done: who is asked, what they say, and what comes of it."""
