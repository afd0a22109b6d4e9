#!/bin/bash
# What an operator types on a machine that has never heard of vaultd; every line is shown as it was typed.
# FROM is where pip finds the wheels of a machine without a network.
set -o pipefail
trap 'echo "refused: $BASH_COMMAND"; exit 1' ERR
types() { printf '# %s\n' "$1"; eval "$1"; }

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INDEX=1 PIP_FIND_LINKS="${FROM:-/opt/trial/wheels}"
types 'python3 -m venv /opt/vaultd && /opt/vaultd/bin/pip install --quiet vaultd'
types 'cd /opt/vaultd/lib/python3*/site-packages/vaultd/_systemd'
types 'install -m 644 -t /etc/systemd/system *.service *.socket'
types 'install -D -m 644 sysusers.conf /etc/sysusers.d/vaultd.conf && systemd-sysusers'
types 'install -D -m 644 tmpfiles.conf /etc/tmpfiles.d/vaultd.conf && systemd-tmpfiles --create'
types 'install -d -m 700 /etc/credstore.encrypted'
types 'head -c 32 /dev/urandom | base64 | systemd-creds encrypt --name=vaultd-root - /etc/credstore.encrypted/vaultd-root'
types 'systemctl daemon-reload && systemctl enable --now vaultd'
types 'usermod -aG vaultd-admin alice && ln -s /opt/vaultd/bin/vaultd /usr/local/bin/'
types 'systemctl status --no-pager --lines 0 vaultd'
types 'runuser -u alice -- vaultd status'
