"""The command lines of the projects behind this one: their flags become arguments of ``yoloslim``, and nothing else."""
