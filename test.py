from yoloslim.compat.test import test

test.run(__name__)
