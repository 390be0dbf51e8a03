# SPDX-License-Identifier: Apache-2.0
"""Bytes <-> frames <-> messages. Pure: nothing here reads or writes a port (docs/protocol.md)."""
