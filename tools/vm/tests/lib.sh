# SPDX-License-Identifier: GPL-2.0
# Shared by the tests that run inside the VM (sourced by busybox sh).
# start_guest starts a Linux guest with QEMU on this VM's KVM, in the
# background; its console is $GUEST_LOG.
set -u
GUEST_LOG=/tmp/guest.log
GUEST_PID=
QEMU_ARGS=
MEMORY=192
# A program of the host that runs what follows it, QEMU's command line
DRIVER=

# The mark keeps the runner from taking these lines for this VM's kernel's.
show_guest()
{
	sed 's/^/guest| /'
}

fail()
{
	echo "FAIL: $*"
	[ ! -e "$GUEST_LOG" ] || tail -n 30 "$GUEST_LOG" | show_guest
	exit 1
}

skip()
{
	echo "SKIP: $*"
	exit 4
}

# start_guest CPUS [WORDS FOR THE KERNEL'S COMMAND LINE]
start_guest()
{
	cpus=$1
	shift
	rm -f "$GUEST_LOG"
	inhost $DRIVER /usr/bin/qemu-system-x86_64 -accel kvm -smp "$cpus" \
		-m "$MEMORY" -nodefaults -no-user-config -display none -no-reboot \
		-chardev "file,id=log,path=$GUEST_LOG,append=on" -serial chardev:log \
		$QEMU_ARGS -kernel "$KERNEL" -initrd "$NESTED" \
		-append "console=ttyS0 panic=-1 loglevel=5 no_timer_check nokaslr \
			mitigations=off init_on_alloc=0 $*" &
	GUEST_PID=$!
}

# wait_until SECONDS COMPLAINT COMMAND...: until the command succeeds
wait_until()
{
	n=$(($1 * 5))
	complaint=$2
	shift 2
	until "$@" 2>/dev/null; do
		n=$((n - 1))
		[ $n -ge 0 ] || fail "$complaint"
		kill -0 "$GUEST_PID" || fail "QEMU ended early"
		sleep 0.2
	done
}

# wait_guest_line PATTERN SECONDS: until the guest has printed a line
wait_guest_line()
{
	wait_until "$2" "the guest did not print '$1'" grep -q "$1" "$GUEST_LOG"
}

guest_has_exited()
{
	grep -q '^[1-9]' /sys/kernel/debug/kvm/*/exits
}

# Until the guest has left its code once: all its vCPUs are there then.
wait_guest_exit()
{
	wait_until 60 "no vCPU runs" guest_has_exited
}

# check_guest_kernel: it has not complained
check_guest_kernel()
{
	! grep -qE '\[ *[0-9.]*\] .*(BUG|WARNING|Oops|panic)' "$GUEST_LOG" ||
		fail "the guest's kernel complained"
}

last_tick()
{
	sed -n 's/^TICK \([0-9]*\).*/\1/p' "$GUEST_LOG" | tail -n 1
}

# The guest goes on: it counts three further than it has.
check_ticking()
{
	wait_guest_line "^TICK $(($(last_tick) + 3))" 60
}

start_ticking_guest()
{
	start_guest "$1" nested.ticks
	wait_guest_line '^TICK 2' 120
}

stop_guest()
{
	kill "$GUEST_PID"
	wait "$GUEST_PID"
	GUEST_PID=
}
