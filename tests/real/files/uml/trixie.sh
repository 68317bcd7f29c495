# Makes $BUILT/trixie, a root of Debian 13's own packages with a later kernel; nothing of it is installed here.
set -e
work=$(mktemp -d); trap 'rm -r $work' EXIT
cd $work
mkdir -p lists/partial archives/partial
here=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$here //p" | head -1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >sources.list
cat >apt.conf <<END
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::State::status "/dev/null";
Dir::Cache "$work/archives";
END
export APT_CONFIG=$work/apt.conf
apt-get update -qq
apt-get download -qq user-mode-linux libc6 busybox-static
mkdir -p root/usr root/proc root/dev root/tmp root/guest/bin root/guest/dev root/guest/proc
for package in *.deb; do dpkg-deb -x $package root; done
for name in lib lib64 bin; do ln -s usr/$name root/$name; done
rm -r root/usr/lib/uml # its modules
for name in $(busybox --list); do ln -sf busybox root/guest/bin/$name; done
rm -f root/guest/bin/busybox; cp root/bin/busybox root/guest/bin/
install -m 755 $FILES/uml/script.sh root/guest/
chroot root linux.uml --version >root/version
mv root $BUILT/trixie
