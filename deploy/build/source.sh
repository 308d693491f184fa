#!/bin/sh
# Prints what git knows of the source, as make stamps it: whether it is exactly a commit (clean, dirty, or unknown where git knows nothing of it), its
# version by the last tag, the commit, the same in short, and the commit's time, each as a word.
#
# Only what is clean may be called a commit. A file that git does not track is compiled like all others, also one that a personal exclude file hides; and
# a source that was unpacked inside another repository would have that one's tag.
set -u

cd "$(dirname "$0")/../.." || exit 1
# A hook or an alias of git sets these, and they would name another repository.
unset $(git rev-parse --local-env-vars 2>/dev/null)

if [ "$(git rev-parse --show-toplevel 2>/dev/null)" != "$(pwd -P)" ] || ! commit=$(git rev-parse --verify --quiet HEAD); then
	echo unknown dev unknown unknown unknown
	exit
fi
state=dirty
# The second one is for what Go compiles or embeds, which is nothing that begins with a dot; elsewhere, as in bin, files that are ignored are what make itself
# has made. The third one is for files that git was told not to look at.
if changed=$(git status --porcelain --untracked-files=all --ignore-submodules=none) && [ -z "$changed" ] &&
	hidden=$(git ls-files --others --ignored --exclude-standard -- vendor audit certs cmd docs webhook ':(exclude,glob)**/.*') && [ -z "$hidden" ] &&
	marked=$(git ls-files -v | grep '^[a-zS]'; true) && [ -z "$marked" ]; then
	state=clean
fi
echo "$state" "$(git describe --tags 2>/dev/null || echo dev)" "$commit" "$(git rev-parse --short=12 HEAD)" \
	"$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)"
