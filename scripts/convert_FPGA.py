from yoloslim.compat.fpga import convert_fpga

convert_fpga.run(__name__)
