"""Weight files: reading them without executing anything, mapping key names, and saying what fitted."""
