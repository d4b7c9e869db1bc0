"""Plots as SVG and in the terminal."""
