"""A leaderboard over many runs and machines, as a folder of pages."""
