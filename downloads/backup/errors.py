"""Why there is no backup, or no way back from one."""


class BackupProblem(Exception):
    """`str()` is one sentence for people that says what to do."""
