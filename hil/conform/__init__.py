# SPDX-License-Identifier: Apache-2.0
"""Conformance of kernels on a board: small networks of one layer, compared with the reference.

kernel, weighted, elementwise, spatial   what a layer's shape may be, and the layer itself
cases                                    which networks a seed gives, and their samples
expected                                 what the reference interpreters answer
board                                    many networks in one image, and what the board answers
shrink                                   from a failing network to the smallest one that still fails
run, report, files                       all of it in order; the pages; failures as files
"""
