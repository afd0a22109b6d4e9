"""Everything that can be wrong with a house, found: each fault by its code, a sentence and one next action.

`doctor`, `status`, the alerts and the metrics say what stands here. A check is a generator over what it needs of the
house (`seen.House`); it changes nothing and asks no vendor, and where it yields nothing all is well. The codes are a
promise to scripts (`codes`); the sentences are for people and change.
"""
