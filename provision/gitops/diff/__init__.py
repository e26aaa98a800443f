"""What changes in a cluster between two trees of its repository.

What belongs here: the objects of both trees side by side (`compare`), and what Flux does
with an object that is no longer applied (`removal`). What does not: building trees
(``build``), and printing.
"""
