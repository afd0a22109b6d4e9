"""Inference as the vendors answer it: who may ask, what is said, and one file per grammar that checks and writes it."""
