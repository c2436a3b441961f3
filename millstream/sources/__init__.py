"""From a shop's files (catalogue, pictures, events) and from public logs to messages on the log."""
