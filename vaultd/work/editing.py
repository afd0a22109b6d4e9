"""The one owner of the configuration file: an edit is read, made, checked, written and taken up, one at a time.

    current text ── edit ──▶ candidate ── parse, catalogue ──▶ good ── write, fsync, rename ──▶ house.reload
                                                     └▶ refused: the file is as it was, the error names the key

The file is replaced, never written in place: a kill leaves the old one or the new one. Whoever edits it by hand at the
same time is noticed by its contents, and nothing of theirs is lost.
"""

from __future__ import annotations
