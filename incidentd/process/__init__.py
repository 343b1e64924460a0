"""What a process is made of: children and their supervisor, threads that hand work on, logs, points to die at."""
