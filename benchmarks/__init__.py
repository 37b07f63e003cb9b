"""What Vestal takes, each figure beside what the machine itself needs for the same work. One file a question."""
