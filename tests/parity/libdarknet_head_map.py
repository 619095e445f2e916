"""Runs one forward pass of libdarknet.so; a program of its own, because the library prints, and ends on wrong input.

    python libdarknet_head_map.py LIBRARY CFG WEIGHTS INPUT.npy OUTPUT.npy FLOATS

Stores what the last layer of the cfg gives for the input, as FLOATS float32 numbers.
"""

import ctypes
import sys

import numpy as np

library, cfg, weights, source, out, floats = sys.argv[1:]
darknet = ctypes.CDLL(library)
darknet.load_network.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
darknet.load_network.restype = ctypes.c_void_p
darknet.set_batch_network.argtypes = [ctypes.c_void_p, ctypes.c_int]
darknet.network_predict.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_float)]
darknet.network_predict.restype = ctypes.POINTER(ctypes.c_float)

network = darknet.load_network(cfg.encode(), weights.encode(), 0)
darknet.set_batch_network(network, 1)
picture = np.ascontiguousarray(np.load(source), np.float32)
result = darknet.network_predict(network, picture.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))
np.save(out, np.ctypeslib.as_array(result, (int(floats),)))
