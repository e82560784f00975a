"""Toy, an emulated labelling service on the sandbox's core, with a wire unlike Scale's.

Items are imported in chunks of 25 that have one fate or many, at once or by a command to poll. Their labels are stored
and searchable, and repeat as often as somebody sends them. Lists ascend by id and tell no total. A key opens nothing
but a token that lives for a while, and an export is a file that a command makes.
"""
