"""Other programs' credential files, read into credentials of ours: one reader a format, one table that tells them
apart.

Nothing is written here and no token is presented: `formats` says whose file a text is, `fate` what would become of what
it holds, `places` where a program keeps it. A file may be hostile (THR-18): `fields` reads every member.
"""
