from yoloslim.compat.prune import SCRIPTS

SCRIPTS["regular_prune"].run(__name__)
