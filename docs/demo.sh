#!/usr/bin/env bash
# What `make demo` shows: learn, write, complete a word, score, and what to do next.  usage: demo.sh MODEL
set -euo pipefail
model=$1

echo "== learning Python's own manual for two minutes =="
onward train pydoc -o "$model" --minutes 2 --dropout 0.1

echo
echo "== writing =="
onward write "$model" --prime "The value of the expression " --length 300 --temperature 0.7
echo

echo
echo "== completing a word: how \"the excep\" goes on =="
onward write "$model" --prime "the excep" --length 12 --temperature 0 --stop " "
echo

echo
echo "== how surprising is a text? bits per symbol, for one like the manual and for one unlike it =="
echo "An expression statement evaluates the expression list." | onward score "$model" - --per line
echo "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich." | onward score "$model" - --per line

echo
echo "next:"
echo "  .venv/bin/onward write $model --prime \"The \""
echo "  .venv/bin/onward train YOUR_TEXT -o yours.onward --minutes 5"
echo "  .venv/bin/onward --help"
