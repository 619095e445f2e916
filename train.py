from yoloslim.compat.train import train

train.run(__name__)
