"""What the `course` script is made of. Python's standard library alone."""
