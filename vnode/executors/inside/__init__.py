"""Programs that run alone inside containers, given as text to `python3 -I -c`: standard library only."""
