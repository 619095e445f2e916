from yoloslim.compat.prune import SCRIPTS

SCRIPTS["slim_prune"].run(__name__)
