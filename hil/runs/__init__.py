# SPDX-License-Identifier: Apache-2.0
"""A run on disk, `results/<run-id>/`: manifest, samples, pictures, summary."""
