# SPDX-License-Identifier: Apache-2.0
"""Knowledge distillation: networks, training, export. Importing it does not import TensorFlow."""
