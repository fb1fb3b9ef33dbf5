#!/usr/bin/env bash
# Sets up .venv:      setup.sh REQUIREMENTS STAMP [PYTHON]
# Installs a browser: setup.sh --browser        (Debian and Ubuntu, as root; otherwise says what to do)
# Every failure ends in one sentence that says what to do.
set -u
fail() { echo "error: $*" >&2; exit 1; }

if [ "${1:-}" = --browser ]; then
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null && exit 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium for the browser tests …"
    (apt-get update && apt-get install -y --no-install-recommends chromium fonts-noto-cjk) >/tmp/judian-apt.log 2>&1 \
      || echo "note: chromium could not be installed, so the browser tests will be skipped; see /tmp/judian-apt.log" >&2
  else
    echo "note: no chromium here, so the browser tests will be skipped; on Debian: sudo apt install chromium fonts-noto-cjk" >&2
  fi
  exit 0
fi

requirements=$1 stamp=$2 python=${3:-python3} venv=.venv log=.venv/setup.log
command -v "$python" >/dev/null || fail "no $python here: install Python 3.11 or newer (on Debian: apt install python3 python3-venv)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$("$python" --version) is too old: Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python3.11"
free=$(df -Pk . | awk 'NR==2 {print int($4/1024)}')
[ -x $venv/bin/gradio ] || [ "$free" -ge 3000 ] || fail "only $free MiB free on this disk: the set-up needs 3000 MiB"
[ -x $venv/bin/pip ] || { rm -rf $venv; "$python" -m venv $venv >/dev/null 2>&1 && [ -x $venv/bin/pip ]; } || { rm -rf $venv; fail "$python -m venv does not work: on Debian, apt install python3-venv"; }
echo "setting up $venv from $requirements (once; some minutes) …"
# torch alone first: other packages then take it as it is.
if ! { $venv/bin/pip install --disable-pip-version-check --retries 2 --timeout 20 "$(grep '^torch==' requirements.txt)" && $venv/bin/pip install --disable-pip-version-check --retries 2 --timeout 20 -r "$requirements"; } >$log 2>&1; then
  grep -qi 'no space left' $log && fail "the disk is full: free 3000 MiB and run the same command again"
  grep -qiE 'connection|resolve|timed out|max retries|proxy|network' $log && fail "the package registry cannot be reached: check the network (needed for the set-up only) and run the same command again; details in $log"
  fail "the set-up failed: $(grep -i '^error' $log | tail -1); details in $log"
fi
touch "$stamp"
