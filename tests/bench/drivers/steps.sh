#!/bin/sh
# The job as a careful person scripts it with ssh and scp: one command a step,
# all of them over one shared connection (ControlMaster).
# Usage: steps.sh JOB.TXT HOST PORT USER IDENTITY KNOWN_HOSTS
set -eu
job=$1 host=$2 port=$3 user=$4 identity=$5 known=$6
control=$(mktemp -d)
options="-F none -q -o ControlPath=$control/s -o IdentityFile=$identity -o IdentitiesOnly=yes
 -o UserKnownHostsFile=$known -o StrictHostKeyChecking=yes -o BatchMode=yes"
# shellcheck disable=SC2086
at() { ssh $options -p "$port" "$user@$host" "$@" </dev/null; }
# shellcheck disable=SC2086
trap 'ssh $options -O exit -p "$port" "$user@$host" 2>/dev/null || true; rm -rf "$control"' EXIT
# shellcheck disable=SC2086
ssh $options -M -N -f -p "$port" "$user@$host"

changed=0 reload=no restart=no
while read -r kind a b c d; do
	case $kind in
	directory)
		if [ "$(at "stat -c '%a %u:%g' $b 2>/dev/null || true")" != "${a#0} 0:0" ]; then
			at "mkdir -p $b && chmod $a $b"
			changed=$((changed + 1))
		fi
		;;
	file)
		sum=$(sha256sum <"$c")
		if [ "$(at "sha256sum <$d 2>/dev/null; stat -c '%a %u:%g' $d 2>/dev/null || true")" != \
			"$sum
${a#0} 0:0" ]; then
			# shellcheck disable=SC2086
			scp $options -P "$port" "$c" "$user@$host:$d.new"
			at "chmod $a $d.new && mv -f $d.new $d"
			changed=$((changed + 1))
			case $b in r?) restart=yes ;; esac
			case $b in ?d) reload=yes ;; esac
		fi
		;;
	unit)
		if [ $reload = yes ]; then
			at "systemctl daemon-reload"
			reload=no
		fi
		if [ "$(at "systemctl is-enabled $a 2>/dev/null; systemctl is-active $a || true")" != \
			"enabled
active" ]; then
			at "systemctl enable --now $a 2>/dev/null"
			changed=$((changed + 1))
		elif [ $restart = yes ] && [ "${a##*.}" = service ]; then
			at "systemctl restart $a"
		fi
		;;
	esac
done <"$job"
echo "changed=$changed"
