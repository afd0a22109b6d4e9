"""Sign-ins whose person sits at a page: started by one request, answered by others, over in time by themselves.

    start ─▶ waiting ─┬─ callback on the loopback port, callback on the main port, pasted address, device code ─▶ ok
                      ├─ refused by the person or the vendor, timed out, cancelled ─▶ error
                      └─ a choice is needed (Google's projects, a label) ─▶ asking ─▶ waiting

The state of an ended one is kept for a while, so that every page that asks hears the same.
"""

from __future__ import annotations
