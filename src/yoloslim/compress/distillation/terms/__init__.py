"""Distillation terms.

A term compares what student and teacher say, in three forms (``compares``): ``heads``, plain maps of paired heads, all
in the student's code; ``maps``, inner maps as they are; ``channels``, inner maps with as many channels, one by one
comparable. All are float32. It gives a scalar that depends on neither the batch nor the number of cells.
"""
