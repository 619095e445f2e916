from yoloslim.compat.model import info

info.run(__name__)
