"""Edits to the configuration's text that keep its comments and its order. Pure: text in, text out.

The only writer of YAML. Which edit is right, and the file itself, are `work.editing`'s.
"""

from __future__ import annotations
