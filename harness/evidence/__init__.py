"""What rows are worth: statistics, comparisons, verdicts. Never imports torch, nor run/ or bench/."""
