"""The local stack: which processes it has, and the supervisor that starts, watches, restarts and stops them."""
