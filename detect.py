from yoloslim.compat.detect import detect

detect.run(__name__)
