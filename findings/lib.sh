# Sourced by the scripts of this folder: a temporary folder, pinned packages, one comparison.
set -euo pipefail
export LC_ALL=C PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

HERE=$(dirname "$(readlink -f "$0")")
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
cd "$W"

# venv NAME==VERSION...: a Python of its own with these packages; run it as "$W/venv/bin/python".
venv() {
	python3 -m venv "$W/venv"
	"$W/venv/bin/pip" install --quiet "$@" 2>pip.log || { cat pip.log >&2; exit 2; }
	echo "installed: $*"
}

# deb NAME VERSION: unpack Debian's package under $W/root; its version must begin with VERSION.
deb() {
	local version
	apt-cache show "$1" >/dev/null 2>&1 || apt-get update -qq
	apt-get -qq -o APT::Sandbox::User=root download "$1" 2>apt.log || { cat apt.log >&2; exit 2; }
	version=$(dpkg-deb -f "$1"_*.deb Version)
	case $version in
	"$2"*) dpkg-deb -x "$1"_*.deb "$W/root" && echo "unpacked: $1 $version" ;;
	*) echo "$1 is at $version, the finding is about $2" >&2; exit 2 ;;
	esac
}

# expect WHAT ACTUAL SEEN: print it; exit non-zero unless the output is still what was seen.
expect() {
	printf '%s\n' "$2" | sed "s/^/$1: /"
	[ "$2" = "$3" ] && return
	printf '%s\n' "$3" | sed "s/^/no longer as seen, $1 was: /" >&2
	exit 1
}
