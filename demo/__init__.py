"""`script/demo`: a federation on this machine, three analyses of real data, a search of what the hub saw."""
