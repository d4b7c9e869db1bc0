"""Our own simulators: gate plans run exactly, with finite shots or with noise, forward and backward."""
