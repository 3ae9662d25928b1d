#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# in_folder.sh PROGRAM LIBRARY: run PROGRAM FOLDER with the library of the tests, in a fresh folder.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
NFSHIM_OFF=1 LD_PRELOAD=$2 "$1" "$dir"
