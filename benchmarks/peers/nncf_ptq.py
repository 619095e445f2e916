"""Quantizes an ONNX file with NNCF, its defaults; run by ``quantization.py`` in an environment with nncf and onnx.

python nncf_ptq.py FLOAT.onnx PICTURES.npy INT8.onnx
"""

import sys

import nncf
import numpy as np
import onnx

source, pictures, out = sys.argv[1:]
model = onnx.load(source)
name = model.graph.input[0].name
dataset = nncf.Dataset(np.load(pictures), lambda picture: {name: picture[None]})
onnx.save(nncf.quantize(model, dataset, subset_size=len(np.load(pictures))), out)
