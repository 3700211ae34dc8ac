#!/bin/sh
# Lays out the image's root: one node binary, the libraries it loads, and the bundled programs. Nothing else, no shell.
# usage: root.sh NODE DIST ROOT    NODE: the binary; DIST: folder of the bundles; ROOT: a new folder
set -eu
[ $# -eq 3 ] || { echo 'usage: root.sh NODE DIST ROOT' >&2; exit 2; }
node=$(readlink -f "$1") dist=$2 root=$3

mkdir -p "$root/usr/local/bin" "$root/app" "$root/etc" "$root/tmp"
cp "$node" "$root/usr/local/bin/node"
# What the loader will open, the loader itself among it, each where it is looked for.
ldd "$node" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
for program in hadr sidecar webhook decider inject status switch pause resume doctor; do
  [ ! -f "$dist/$program.cjs" ] || cp "$dist/$program.cjs" "$root/app/"
done
[ -f "$root/app/hadr.cjs" ] || { echo "root.sh: no hadr.cjs in $dist: npm run build" >&2; exit 1; }
echo 'hadr:x:65532:65532::/tmp:/sbin/nologin' > "$root/etc/passwd"
echo 'hadr:x:65532:' > "$root/etc/group"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
