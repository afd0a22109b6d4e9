"""Renewal in a process of its own, so that killing the daemon in mid-renewal loses nothing (SEC-44, SEC-46).

`near` is the daemon's side: it starts the process when something is first to be renewed, and asks. `far` is the process
with owner, keys, token endpoints; it renews, saves, and ends once the daemon is gone and nothing is left to save.
"""
