"""The pure core of the streams: state transitions that take values and return values; no runtime is imported."""
