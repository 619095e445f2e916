from yoloslim.compat.prune import SCRIPTS

SCRIPTS["EagleEye_slim_prune"].run(__name__)
