"""Circuits in the libraries: built, run, transpiled and timed there. Each module needs its library when it is used."""
