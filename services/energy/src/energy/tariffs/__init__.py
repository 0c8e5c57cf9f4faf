"""Rates: what is agreed with a utility, its versions, and which of them is in force where."""
