"""How far a run is, on a terminal: a bar over all of its steps, and a line for each epoch."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cloudytools.train.module import PREFIX


class Bar(ProgressBar):
    """Written to the error stream, so that it may be thrown away."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = console or Console(stderr=True)
        self._progress = Progress(
            *columns,
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,  # a log gets the lines alone
        )
        self._task = self._progress.add_task("training", total=None)

    def disable(self) -> None:
        """Lightning calls this on every device but the first."""
        self._progress.disable = True

    def enable(self) -> None:
        """Back to where there is a terminal."""
        self._progress.disable = not self._progress.console.is_terminal

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """From the step that a resumed run goes on with."""
        if trainer.is_global_zero:
            self._progress.update(self._task, total=pl_module.steps, completed=trainer.global_step)
            self._progress.start()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """One step more, with its loss."""
        losses = trainer.callback_metrics.get("loss_step", float("nan"))
        said = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}, loss {float(losses):.3f}"
        self._progress.update(self._task, completed=trainer.global_step, description=said)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """What the epoch came to, as a line that stays."""
        if trainer.is_global_zero:
            self._progress.refresh()  # epochs may be shorter than its own pauses
            self._progress.console.print(epoch_line(trainer), highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """The bar goes, the lines stay."""
        self._progress.stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The same."""
        self._progress.stop()


def epoch_line(trainer: Any) -> str:
    """An epoch's loss and the validation's figures, `name value` each."""
    figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
    words = [
        f"{name.removeprefix(PREFIX)} {value:.4g}"
        for name, value in sorted(figures.items(), key=lambda pair: pair[0] != f"{PREFIX}loss")
        if name.startswith(PREFIX)
    ]
    epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
    return f"{epoch}: loss {figures['loss_epoch']:.4g}; validation: {', '.join(words)}"
