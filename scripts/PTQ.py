from yoloslim.compat.ptq import ptq

ptq.run(__name__)
