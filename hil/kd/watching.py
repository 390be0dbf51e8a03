"""What watches a training from inside Keras: progress, NaN, early stopping, TensorBoard logs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from hil.errors import TrainingFailed
from hil.kd.backend import require
from hil.kd.events import Event, OnEvent
from hil.kd.recipe import Schedule


def callbacks(key: str, schedule: Schedule, on_event: OnEvent, logs: Path | None) -> list[Any]:
    """Keras callbacks for one training.

    Args:
        key: its name in events and messages.
        schedule: its epochs and patience.
        on_event: told of each epoch.
        logs: a folder for TensorBoard's event files.
    """
    keras, _ = require()

    def tell(epoch: int, logs: dict[str, float]) -> None:
        metrics = {name: float(value) for name, value in logs.items()}
        on_event(Event(key, "epoch", epoch + 1, schedule.epochs, metrics))

    made = [_nan_stop(key), keras.callbacks.LambdaCallback(on_epoch_end=tell)]
    if schedule.patience:
        made.append(
            keras.callbacks.EarlyStopping(
                monitor=schedule.monitor,
                mode="min" if schedule.monitor == "val_loss" else "max",
                patience=schedule.patience,
                restore_best_weights=True,
            )
        )
    if logs is not None:
        made.append(_tensorboard(logs))
    return made


def _nan_stop(key: str) -> Any:
    keras, _ = require()
    at = [0]

    def check(step: int, logs: dict[str, float]) -> None:
        loss = logs["loss"]
        if not math.isfinite(loss):
            what = f"the loss of {key!r} is {loss} in epoch {at[0] + 1}, step {step + 1}"
            raise TrainingFailed(what, "lower the learning rate, or look for broken samples")

    def note(epoch: int, logs: dict[str, float] | None = None) -> None:
        del logs
        at[0] = epoch

    return keras.callbacks.LambdaCallback(on_train_batch_end=check, on_epoch_begin=note)


def _tensorboard(folder: Path) -> Any:
    """Scalars an epoch, in TensorBoard's own format; written without TensorBoard, which Keras's
    callback and tf.summary.scalar want installed."""
    keras, tf = require()
    writer = tf.summary.create_file_writer(str(folder))
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    meta = tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class=1)

    def write(epoch: int, logs: dict[str, float]) -> None:
        with writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=meta)

    def close(logs: dict[str, float] | None = None) -> None:
        del logs
        writer.close()

    return keras.callbacks.LambdaCallback(on_epoch_end=write, on_train_end=close)
