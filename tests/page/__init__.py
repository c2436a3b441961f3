"""The page is read as text, and used in a real browser against a double of the gateway."""
