# SPDX-License-Identifier: Apache-2.0
"""Tests of hil_train: each file is named after the module that it tests."""
