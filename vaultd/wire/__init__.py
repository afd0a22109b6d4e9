"""LLM grammars, sans-I/O: what a request, an answer, a stream and an error look like in each format.

A grammar belongs here, a vendor's habit does not: habits are manifest data or named hooks (`catalog.hooks`).
"""
