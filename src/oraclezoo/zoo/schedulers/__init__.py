"""Built-in schedulers; ``specs`` describes them without heavy imports."""
