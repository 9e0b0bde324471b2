#!/usr/bin/env bash
# What `make demo` runs: train, write, complete, score, and hints for next steps.  usage: demo.sh MODEL
set -euo pipefail
model=$1

echo "== training on Python's own manual for two minutes =="
onward train pydoc -o "$model" --minutes 2

echo
echo "== writing =="
onward write "$model" --prime "The value of the expression " --length 300 --temperature 0.7
echo

echo
echo "== completing \"the excep\" =="
onward complete "$model" --prime "the excep" --count 3

echo
echo "== scoring two sentences: one like the manual, one unlike it (bits per symbol) =="
echo "An expression statement evaluates the expression list." | onward score "$model" - --per line
echo "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich." | onward score "$model" - --per line

echo
echo "next:"
echo "  .venv/bin/onward write $model --prime \"The \""
echo "  .venv/bin/onward train YOUR_TEXT -o yours.onward --minutes 5"
echo "  .venv/bin/onward --help"
