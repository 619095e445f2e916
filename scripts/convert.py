from yoloslim.compat.model import convert

convert.run(__name__)
