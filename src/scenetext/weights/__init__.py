"""Weight files: reading them without executing anything, mapping key names, and reporting what fitted."""
