# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Network devices of the lab. Sourced. IN is a command prefix: where the device is; none: here.

# The mask of rps_cpus: 32 bits a group, groups from the highest down.
cpu_mask() {
	local cpu=$1 groups=$(($1 / 32)) mask
	mask=$(printf '%x' $((1 << (cpu % 32))))
	while [ "$groups" -gt 0 ]; do
		mask+=,00000000
		groups=$((groups - 1))
	done
	echo "$mask"
}

# offloads_off IN... DEV
offloads_off() {
	local dev=${*: -1} at=("${@:1:$#-1}")
	"${at[@]}" ethtool -K "$dev" gro off gso off tso off tx off rx off >/dev/null 2>&1 ||
		die "cannot switch the offloads of $dev off"
}

# pin_device IN... DEV CPU: RPS to a single CPU: one backlog, so one order, whatever CPU a sender runs on.
pin_device() {
	local dev=${*: -2:1} cpu=${*: -1} at=("${@:1:$#-2}")
	"${at[@]}" sh -c "echo $(cpu_mask "$cpu") >/sys/class/net/$dev/queues/rx-0/rps_cpus" ||
		die "cannot pin $dev to CPU $cpu (is CONFIG_RPS missing?)"
}
