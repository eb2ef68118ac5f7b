"""A backup in one file, made while the service runs, and its way back: rows, pictures, secret key, settings.

The rows are copied in the database's own form and not as Django's JSON: that is a consistent picture without a moment's
halt, and an older version's rows come back as they were and are then migrated like any others. So a backup goes back to
the kind of database that it comes from. Finished and partial files are not in it: they are files already.
"""
