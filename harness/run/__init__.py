"""From a plan to finished cells: the matrix, the executors, the worker."""
