#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# with_shim.sh NAME PROGRAM LIBRARY [ARG...]: run PROGRAM under the shim as instance NAME.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
NFSHIM_DIR=$dir NFSHIM_NAME=$1 LD_PRELOAD=$3 "$2" "${@:4}" </dev/null
