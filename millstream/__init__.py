"""The face of Millstream: the command line, the local stack, the loaders of a shop's files, and the demo."""
