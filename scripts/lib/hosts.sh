# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The namespace of the clients and that of the servers. Sourced, after common.sh.
#
# All addresses of the prefixes are local there ("AnyIP"), so that a few
# hundred hosts need no interfaces. Clients of a pod talk to its servers only:
# the two pods share no host. The link's devices are cl and sv.

CLIENT_MAC=02:00:00:00:00:0c SERVER_MAC=02:00:00:00:00:05

# host NS DEV OWN-LINK-LOCAL PEER-LINK-LOCAL PEER-MAC: one end of the link
host() {
	local ns=$1 dev=$2 own=$3 peer=$4 mac=$5
	ip -n "$ns" link set lo up
	ip -n "$ns" link set "$dev" addrgenmode none
	ip netns exec "$ns" ethtool -K "$dev" gro off gso off tso off tx off rx off >/dev/null
	# Entries must not be probed again while the traffic runs.
	ip netns exec "$ns" sysctl -qw "net.ipv4.neigh.$dev.base_reachable_time_ms=600000" \
		"net.ipv4.neigh.$dev.delay_first_probe_time=600"
	ip netns exec "$ns" sysctl -qw net.ipv6.ip_nonlocal_bind=1
	ip -n "$ns" link set "$dev" up
	ip -n "$ns" -6 addr add "$own/64" dev "$dev" nodad
	ip -n "$ns" -6 neigh add "$peer" lladdr "$mac" dev "$dev" nud permanent
}

client_host() {
	host "$1" cl fe80::c fe80::5 "$SERVER_MAC"
	ip -n "$1" route add local 10.20.0.0/20 dev lo
	ip -n "$1" route add 198.18.0.0/18 dev cl
	ip -n "$1" -6 route add local 2001:db8:20::/48 dev lo
	ip -n "$1" -6 route add 2001:db8:c10d::/48 via fe80::5 dev cl
}

server_host() {
	host "$1" sv fe80::5 fe80::c "$CLIENT_MAC"
	ip -n "$1" route add local 198.18.0.0/18 dev lo
	ip -n "$1" route add 10.20.0.0/20 dev sv
	ip -n "$1" -6 route add local 2001:db8:c10d::/48 dev lo
	ip -n "$1" -6 route add 2001:db8:20::/48 via fe80::c dev sv
}

# page DIR NAME BYTES LETTER
page() { head -c "$3" /dev/zero | tr '\0' "$4" >"$1/www/$2"; }

# servers NS DIR: nginx and the name server; their process ids are added to pids.
servers() {
	local ns=$1 dir=$2
	mkdir -p "$dir/www" "$dir/nginx"
	page "$dir" small 400 a
	page "$dir" page 4000 b
	page "$dir" large 16000 c
	page "$dir" huge 120000 d
	page "$dir" slow 48000 e
	chmod -R a+rX "$dir"
	cat >"$dir/nginx.conf" <<-CONF
		daemon off; worker_processes 1; pid $dir/nginx.pid; error_log $dir/error.log;
		events { worker_connections 4096; }
		http {
			access_log off; keepalive_timeout 60; keepalive_requests 10000;
			client_body_temp_path $dir/nginx; proxy_temp_path $dir/nginx;
			fastcgi_temp_path $dir/nginx; uwsgi_temp_path $dir/nginx; scgi_temp_path $dir/nginx;
			server {
				listen 80 backlog=4096; listen [::]:80 backlog=4096; root $dir/www;
				location = /slow { limit_rate 16k; }
			}
		}
	CONF
	# Not by a function: $! must be the server's own process id.
	ip netns exec "$ns" nginx -c "$dir/nginx.conf" -p "$dir" >"$dir/nginx.out" 2>&1 &
	pids+=($!)
	ip netns exec "$ns" python3 "$HERE/clients.py" serve >"$dir/dns.out" 2>&1 &
	pids+=($!)
	wait_until 20 listening "$ns" || die "the servers did not start: $(cat "$dir"/*.out "$dir/error.log")"
}
listening() {
	ip netns exec "$1" ss -Hltn 'sport = :80' | grep -q . && ip netns exec "$1" ss -Hlun 'sport = :53' | grep -q .
}
