# SPDX-License-Identifier: Apache-2.0
"""Compares the speed of distillation in batches with stored answers and one sample at a time.

    python benchmarks/distillation.py [--samples 300]

The second is the tutorial's method: for each sample, run student and teacher eagerly, take the
gradient of alpha CE + (1 - alpha) soft CE, and step. Both train the same networks on the same
digits in the same process; the teacher's answers are computed within the time measured.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import msgspec

from hil import datasets
from hil.core.records import Dataset
from hil_train import distillation, networks, training
from hil_train.backend import known_warnings, require
from hil_train.batches import as_input
from hil_train.plan import Split, find_recipe, plan_for
from hil_train.recipe import Loss, Schedule

EPOCHS = 20


def one_by_one(teacher: Any, student: Any, data: Dataset, loss: Loss) -> float:
    """Samples per second, without the first ten (tracing, first allocations)."""
    keras, tf = require()
    optimizer = keras.optimizers.Adam()
    x, y = as_input(data.x), data.y
    began = 0.0
    for i in range(len(data)):
        if i == 10:
            began = time.perf_counter()
        with tf.GradientTape() as tape:
            ours, theirs = student(x[i : i + 1], training=True), teacher(x[i : i + 1])
            value = keras.ops.mean(distillation.per_sample(loss, y[i : i + 1], ours, theirs))
        gradients = tape.gradient(value, student.trainable_variables)
        optimizer.apply_gradients(zip(gradients, student.trainable_variables, strict=True))
    return (len(data) - 10) / (time.perf_counter() - began)


@known_warnings()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=300, help="for the loop")
    parser.add_argument("--dataset", default="mnist")
    arguments = parser.parse_args()
    recipe = find_recipe("mnist").recipe
    train, validation = datasets.split_validation(datasets.load(arguments.dataset, "train"))
    loss = Loss("soft_ce", 5.0, 0.1)
    teacher = networks.build(recipe.networks["teacher"], train.x.shape[1:], "teacher")
    student = networks.build(recipe.networks["student"], train.x.shape[1:], "student")
    slow = one_by_one(teacher, student, datasets.subset(train, arguments.samples), loss)
    # the tutorial's digits unchanged: the recipe's views would be more work
    schedule = Schedule(epochs=EPOCHS, learning_rate=4e-3)
    plan = msgspec.structs.replace(plan_for(recipe, "student", 1), loss=loss, schedule=schedule)
    began = time.perf_counter()
    fitted = training.fit(plan, Split(train, datasets.subset(validation, 1000)), teacher=teacher)
    whole = fitted.epochs * len(train) / (time.perf_counter() - began)
    print(f"one by one: {slow:,.0f} samples/s")
    print(f"hil: {fitted.rate:,.0f} samples/s in training, {whole:,.0f} with the teacher's answers")
    print(f"{whole / slow:.0f} times as fast, {fitted.rate / slow:.0f} without the teacher")


if __name__ == "__main__":
    main()
