#!/usr/bin/env bash
# Deploys a commit: fetch, install, test, migrate, reload. Whatever fails, the running release is not touched.
#
#     SITE=/srv/fleet deploy.sh [COMMIT]          default: the main branch of origin
#
# SITE has `source`, a bare clone of the repository (`git clone --bare URL source`). This script makes the rest:
#     releases/COMMIT     the sources of a release, never changed afterwards
#     venvs/HASH          the packages of a requirements.txt, shared by the releases that have the same one
#     current, next       links to the release that serves, and to the one that is being deployed
#     data                the database
# FOLDER is the folder of the application in the repository, if it is not the root.
set -euo pipefail
: "${SITE:?SITE is the folder of the deployment}"
export SITE FOSTER_SOCKET="$SITE/foster.sock"
cd "$SITE"
exec 9>deploy.lock
flock --nonblock 9 || { echo "deploy: another deployment is under way" >&2; exit 1; }
step() { printf 'deploy: %s\n' "$*"; }
point() { ln -sfn "$2" "$1.new" && mv -T "$1.new" "$1"; }

step fetch
git --git-dir=source fetch --quiet origin '+refs/heads/*:refs/heads/*'
commit=$(git --git-dir=source rev-parse --verify --quiet "${1:-HEAD}^{commit}") ||
    { echo "deploy: there is no commit ${1:-HEAD}; name one: deploy.sh COMMIT" >&2; exit 1; }
release=releases/$commit
mkdir -p releases venvs data

if [ ! -d "$release" ]; then
    made=$release.new
    rm -rf "$made" && mkdir "$made"
    trap 'rm -rf "$made"' EXIT
    git --git-dir=source archive "$commit${FOLDER:+:$FOLDER}" | tar -x -C "$made"

    step install
    venv=venvs/$(sha256sum <"$made/requirements.txt" | cut -c 1-16)
    if [ ! -e "$venv/complete" ]; then
        "${PYTHON:-python3}" -m venv --clear "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$made/requirements.txt"
        touch "$venv/complete"
    fi
    ln -s "../../$venv" "$made/venv"

    step test
    (cd "$made" && venv/bin/python -m pytest -q -p no:cacheprovider)
    foster check -c "$made/foster.toml" >/dev/null
    mv "$made" "$release"
    trap - EXIT
fi

running=0; foster status >/dev/null 2>&1 || running=$?
if [ "$running" = 4 ]; then
    point current "$release"
    echo "deploy: foster is not running: SITE=$SITE foster run -c $SITE/current/foster.toml"
    exit
fi

step migrate
point next "$release"
foster start migrate-next || { foster logs -n 20 migrate-next >&2; exit 1; }

step reload
former=$(readlink current)
take() {
    point current "$1"
    cmp --quiet "$former/foster.toml" "$release/foster.toml" || foster update
}
if ! { take "$release" && foster reload web; }; then
    take "$former"
    echo "deploy: $commit does not come up: $(basename "$former") continues to serve" >&2
    exit 1
fi

# The five newest releases stay, for a way back.
for old in $(ls -t releases | tail -n +6); do
    [ "$old" = "$commit" ] || rm -rf "releases/$old"
done
step "$commit serves"
