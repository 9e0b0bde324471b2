"""The progress of `onward watch learn`: messages and, on a terminal, a bar with the time left."""

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from onward.cli.output import messages, say
from onward.training.events import Event, Stepped
from onward.watch.training import ModelStarted


class LearnProgress:
    """Shows how far a detector is learned. Leaving its context restores the terminal."""

    def __init__(self) -> None:
        console = messages()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("reading", total=None)
        self._models_before = 0

    def __enter__(self) -> "LearnProgress":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Prints a message, above the bar if there is one."""
        say(text, console=self._progress.console)

    def __call__(self, event: Event) -> None:
        if isinstance(event, ModelStarted):
            self._models_before = event.number - 1
            self._progress.update(
                self._task, description="learning", completed=self._models_before, total=event.models
            )
        elif isinstance(event, Stepped) and event.steps:
            self._progress.update(self._task, completed=self._models_before + event.step / event.steps)
