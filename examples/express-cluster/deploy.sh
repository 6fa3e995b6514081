#!/usr/bin/env bash
# Deploys the application in SOURCE: build, test, rolling reload, clear the page cache, reload nginx. Whatever fails, the
# running release is not touched.
#
#     docker compose exec shop /app/deploy.sh /source          in the container
#     ROOT=/srv/shop RUN=/run/shop deploy.sh SOURCE            on a machine
#
# ROOT (/app) has `releases` and `current`, a link to the one that serves. RUN (/tmp) has foster's socket and the cache.
set -euo pipefail
source=$(cd "${1:?the folder of the application}" && pwd)
run=${RUN:-/tmp}
export FOSTER_SOCKET="$run/foster.sock"
cd "${ROOT:-/app}"
exec 9>"$run/deploy.lock"
flock --nonblock 9 || { echo "deploy: another deployment is under way" >&2; exit 1; }
step() { printf 'deploy: %s\n' "$*"; }
point() { ln -sfn "$1" current.new && mv -T current.new current; }

step build
mkdir -p releases
release=$(mktemp -d releases/XXXXXXXX)
trap 'rm -rf "$release"' EXIT
chmod 755 "$release"
tar -C "$source" --exclude ./node_modules --exclude ./dist -c . | tar -C "$release" -x
(cd "$release" && npm ci --silent --omit=dev && npm run --silent build)

step test
(cd "$release" && npm test --silent)

step reload
former=$(readlink current || true)
point "$release"
running=0; foster status >/dev/null 2>&1 || running=$?
if [ "$running" = 4 ]; then
    trap - EXIT
    echo "deploy: foster is not running: foster run -c foster.toml"
    exit
fi
if ! foster reload web; then
    point "$former"
    # An instance that was replaced already.
    foster reload web || true
    echo "deploy: the new release does not come up: $former continues to serve" >&2
    exit 1
fi
trap - EXIT

step "clear the cache"
find "$run/nginx-cache" -type f -delete
foster reload nginx
for old in $(ls -t releases | tail -n +4); do
    [ "releases/$old" = "$release" ] || rm -rf "releases/$old"
done
step "$release serves"
