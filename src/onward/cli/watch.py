"""`onward watch`: the commands that make and use a detector."""

import typer

from onward.cli.command import Command, Group
from onward.cli.watch_explain import explain
from onward.cli.watch_judge import judge
from onward.cli.watch_learn import learn
from onward.cli.watch_ok import ok
from onward.cli.watch_run import run

_SEQUENCE = (
    "A sequence is the events of one key, such as one session or one host, from the first to the last."
)

watch = typer.Typer(
    name="watch",
    cls=Group,
    help="Learn what normal events or logs look like, and flag unusual sequences.",
    epilog=_SEQUENCE,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for command in (learn, run, explain, judge, ok):
    watch.command(cls=Command, epilog=_SEQUENCE)(command)
