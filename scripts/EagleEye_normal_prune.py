from yoloslim.compat.prune import SCRIPTS

SCRIPTS["EagleEye_normal_prune"].run(__name__)
