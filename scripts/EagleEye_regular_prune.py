from yoloslim.compat.prune import SCRIPTS

SCRIPTS["EagleEye_regular_prune"].run(__name__)
