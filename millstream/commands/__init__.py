"""The commands of `millstream`, one file each."""
