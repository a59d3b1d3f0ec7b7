"""Events: changes that a database trigger records, in the order of their commits, for many listeners."""
