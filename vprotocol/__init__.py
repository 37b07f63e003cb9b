"""The vocabulary all programs of Vestal share. Pure: no files, no network, no clock, no logging."""
