"""What happened, in order, for people and programs that watch."""
