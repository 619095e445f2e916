from yoloslim.compat.prune import SCRIPTS

SCRIPTS["shortcut_prune"].run(__name__)
