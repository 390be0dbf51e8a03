# SPDX-License-Identifier: Apache-2.0
"""Train networks for microcontrollers: recipes, distillation, compression, sweeps and studies.

Importing this package does not import TensorFlow; Optuna is needed only for sweeps.

    a recipe          recipe (records), plan (find, check, expand, load its data)
    a training        networks, batches, distillation, compress, training
    its files         export, provenance, card
    hil train         pipeline
    hil sweep         sweep, trial, storage, outcome
    hil study         study, methods, figures, study_pages
"""
