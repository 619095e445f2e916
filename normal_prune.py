from yoloslim.compat.prune import SCRIPTS

SCRIPTS["normal_prune"].run(__name__)
