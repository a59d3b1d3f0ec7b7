"""Events: changes recorded by database triggers and sent to many listeners, in the order of their commits."""
