"""What the worker does to a model: train, audit, score, time, weigh."""
