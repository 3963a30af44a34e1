"""The classes of the built-in set, by kind."""
