"""`/v0/management`: the house for programs and for the panel. `table` has every route, `gate` says who may come in."""
