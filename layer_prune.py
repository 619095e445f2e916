from yoloslim.compat.prune import SCRIPTS

SCRIPTS["layer_prune"].run(__name__)
