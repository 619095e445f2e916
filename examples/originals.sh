#!/usr/bin/env bash
# The six steps of the originals' first document in their own commands, on blood cells: train, train sparse, prune, distil,
# quantize, detect. After each but the last, test.py measures; its figures are left as STEP.json.
#
#     YOLOSLIM_TEST_DATA=FOLDER path/to/examples/originals.sh
#
# Run it in an empty folder, with the environment of yoloslim active. What may be set besides: EPOCHS of each training, SIZE
# in pixels, PERCENT of the channels to remove, DATA file, SOURCE of pictures to look at, PYTHON.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3} epochs=${EPOCHS:-20} size=${SIZE:-320} percent=${PERCENT:-0.3}
data=${DATA:-$root/examples/bccd.yaml}
source=${SOURCE:-$YOLOSLIM_TEST_DATA/bccd/BCCD/JPEGImages/BloodImage_0000*.jpg}

dense=cfg/yolov3tiny/yolov3tiny.cfg
small=cfg/yolov3tiny/normal_prune_${percent}_yolov3tiny.cfg
small_weights=weights/yolov3tiny/normal_prune_${percent}_percent.weights

train() { "$python" "$root/train.py" --data "$data" --img-size "$size" --batch-size 8 --epochs "$epochs" --notest "$@"; }
measure() {
  "$python" "$root/test.py" --data "$data" --img-size "$size" --save-json "${@:2}"
  mv results.json "$1.json"
}

train -pt --cfg $dense --weights "$YOLOSLIM_TEST_DATA/weights/yolov3-tiny.weights" --name dense
measure dense --cfg $dense --weights weights/last_dense.pt

train -pt --cfg $dense --weights weights/last_dense.pt -sr --s 0.001 --prune 0 --name sparse
measure sparse --cfg $dense --weights weights/last_sparse.pt

"$python" "$root/normal_prune.py" --cfg $dense --data "$data" --weights weights/last_sparse.pt --percent "$percent"
measure pruned --cfg "$small" --weights "$small_weights"

train --cfg "$small" --weights "$small_weights" --t_cfg $dense --t_weights weights/last_dense.pt --KDstr 4 --name distilled
measure distilled --cfg "$small" --weights weights/last_distilled.pt

train --cfg "$small" --weights weights/last_distilled.pt --quantized 1 --name quantized
measure quantized --cfg "$small" --weights weights/last_quantized.pt

"$python" "$root/detect.py" --data "$data" --cfg "$small" --weights weights/last_quantized.pt --source "$source"
