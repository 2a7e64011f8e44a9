#!/bin/sh
# Writes tests/requirements.txt anew: the newest releases that setup.cfg allows.
set -eu
cd "$(dirname "$0")/.."
lock=tests/requirements.txt

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[fast,test]"
{
    echo "# What the project is developed and tested with; constraints, made by \`make lock\`."
    "$folder/venv/bin/python" -m pip freeze --exclude-editable
} >"$folder/lock"
mv "$folder/lock" "$lock"
chmod 644 "$lock"
