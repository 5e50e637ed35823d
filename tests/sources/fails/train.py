"""Prints a line, then fails with an exception."""

print("before the end")
raise ValueError("the data is bad")
