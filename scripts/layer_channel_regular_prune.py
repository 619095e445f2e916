from yoloslim.compat.prune import SCRIPTS

SCRIPTS["layer_channel_regular_prune"].run(__name__)
