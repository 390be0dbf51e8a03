"""Networks, batches and fitting."""

from __future__ import annotations

import numpy as np
import pytest

from hil.kd import batches, networks, training
from hil.kd.backend import require
from hil.kd.events import Event
from hil.kd.settings import Distillation, Schedule, for_dataset
from tests.kd.support import bars, needs_tensorflow

pytestmark = needs_tensorflow


def test_the_networks_are_the_tutorial_s() -> None:
    teacher, student = networks.teacher(), networks.student()
    assert (teacher.count_params(), student.count_params()) == (225_034, 21_898)
    for network in (teacher, student):
        assert network.input_shape == (None, 28, 28, 1)
        assert network.output_shape == (None, 10)
        # logits: a softmax here would silently spoil distillation
        assert network.layers[-1].activation.__name__ == "linear"


def test_batches_move_whole_digits_within_reach() -> None:
    data = bars(50)
    epoch = batches.shifted(data, Schedule(1, 1e-3, shift=2, batch=16))
    assert len(epoch) == 3
    padded = np.pad(data.x[..., 0], ((0, 0), (2, 2), (2, 2))).astype(np.float32) / 255
    seen, moves = [], set()
    for images, labels in (epoch[i] for i in range(3)):
        assert (images.shape, images.dtype) == ((16, 28, 28, 1), np.float32)
        for image, label in zip(images[..., 0], labels, strict=True):
            origin = [
                (i, down, right)
                for i in range(50)
                for down in range(5)
                for right in range(5)
                if np.array_equal(padded[i, down : down + 28, right : right + 28], image)
            ]
            assert origin
            assert any(data.y[i] == label for i, _, _ in origin)
            seen.append(origin[0][0])
            moves |= {(down, right) for _, down, right in origin}
    assert len(moves) > 10
    assert len(set(seen)) > 40


def test_a_teacher_s_answers_stay_with_their_pictures() -> None:
    keras, _ = require()
    keras.utils.set_random_seed(0)
    network = networks.student()
    data = bars(40)
    taught = batches.logits(network, data.x, 1)
    assert taught.shape == (40, 3, 3, 10)
    epoch = batches.shifted(data, Schedule(1, 1e-3, shift=1, batch=20), taught)
    for inputs, labels in (epoch[i] for i in range(2)):
        live = network(inputs["image"], training=False).numpy()
        np.testing.assert_allclose(inputs["logits"], live, atol=1e-5)
        assert len(set(map(bytes, inputs["logits"]))) > 15
        assert labels.shape == (20,)


def test_without_shift_an_epoch_is_a_permutation() -> None:
    data = bars(48)
    epoch = batches.shifted(data, Schedule(1, 1e-3, shift=0, batch=16))
    first = np.concatenate([epoch[i][0] for i in range(3)])
    epoch.on_epoch_end()
    second = np.concatenate([epoch[i][0] for i in range(3)])
    expected = sorted(row.tobytes() for row in batches.as_input(data.x))
    assert sorted(row.tobytes() for row in first) == expected
    assert sorted(row.tobytes() for row in second) == expected
    assert not np.array_equal(first, second)


def test_pixels_are_scaled_as_the_firmware_scales_them() -> None:
    levels = np.arange(256, dtype=np.uint8)
    expected = np.array([np.float32(v) / np.float32(255) for v in range(256)])
    np.testing.assert_array_equal(batches.as_input(levels), expected)
    real = np.array([-1.5, 300.0], np.float32)
    assert batches.as_input(real) is real


@pytest.mark.timeout(300)
def test_training_is_repeatable_and_learns() -> None:
    schedule = Schedule(epochs=3, learning_rate=4e-3, shift=1, batch=8, seed=3)
    data, held_out = bars(200), bars(60, seed=1, split="validation")
    events: list[Event] = []
    runs = []
    for _ in range(2):
        teacher, history = training.fit(
            "teacher", networks.student, data, held_out, schedule, on_event=events.append
        )
        student, _ = training.fit(
            "student",
            networks.student,
            data,
            held_out,
            schedule,
            teacher=teacher,
            distillation=Distillation(),
            on_event=events.append,
        )
        runs.append([w.tobytes() for n in (teacher, student) for w in n.get_weights()])
        assert len(history["val_accuracy"]) == 3
    assert runs[0] == runs[1]
    assert training.accuracy(student, held_out) > 0.9
    assert [(e.stage, e.epoch, e.epochs) for e in events[:6]] == [
        (stage, epoch, 3) for stage in ("teacher", "student") for epoch in (1, 2, 3)
    ]
    assert {"accuracy", "val_accuracy"} <= set(events[0].metrics)


def test_only_known_data_sets_have_settings() -> None:
    from hil.errors import UsageError

    assert for_dataset("mnist").distillation == Distillation(temperature=5.0, alpha=0.1)
    with pytest.raises(UsageError, match="no training settings for 'cifar'"):
        for_dataset("cifar")
