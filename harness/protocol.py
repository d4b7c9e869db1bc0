"""The protocol number: which edition of the engine's measuring code a cell was measured by. (no torch)

It is part of a cell's identity, in the place of the package's version. Raise it in the commit that changes what a cell
measures: training, scoring, audits, timing, memory, matching, or what the worker hands to a suite. Then every cell is
measured anew. A change that moves no number leaves it alone.
"""

PROTOCOL = 3
